//! The one TLS configuration of both ways out.

use std::sync::Arc;

use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::BuildError;

/// TLS 1.2 and 1.3 by ring, with the system's certificates and, through ALPN, HTTP/1.1 only: both ways out speak nothing
/// else.
pub fn system() -> Result<ClientConfig, BuildError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?
        .with_platform_verifier()
        .map_err(BuildError::Tls)?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
