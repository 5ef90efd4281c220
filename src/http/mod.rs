//! The endpoints of an operator: /livez, /readyz, /metrics.
