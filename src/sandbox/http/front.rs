//! The way of a request: read, noted, found, struck by a fault or carried out, answered.

use std::{io, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use futures_util::{StreamExt, stream};

use super::{
    Unread,
    connection::Line,
    fault::{Reply, Target, foreign, strike},
    read_body,
};
use crate::{
    clock,
    sandbox::{
        faults::{FaultKind, Point},
        journal::{answered, received},
        leanstack,
        ljpc::{
            self, Call, Facts, Fate, Key,
            answer::Answer,
            endpoint::{Route, route},
        },
        provider::Provider,
        state::World,
    },
};

const LJPC_KEY: &str = "x-api-key";

/// Answers a request of the simulated LJPc API.
pub(super) async fn answer_ljpc(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    answer(&world, &line, request, Provider::Ljpc).await
}

/// Answers a request of the simulated Leanstack API.
pub(super) async fn answer_leanstack(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    answer(&world, &line, request, Provider::Leanstack).await
}

/// From the noting to the decision nothing is awaited, so a sender that hangs up can't leave a request half done.
async fn answer(world: &World, line: &Line, request: Request, provider: Provider) -> Response {
    let (head, body) = request.into_parts();
    let body = read_body(body).await;
    let seen = body.as_deref().unwrap_or_default();
    let entry = received(clock::now(), provider, &head, &keys(world, provider, &head), seen);
    let seq = world.journal().note(entry);
    let (reply, fault) = match (&body, provider) {
        (Ok(body), Provider::Ljpc) => decide_ljpc(world, &head, body),
        (Ok(body), Provider::Leanstack) => decide_leanstack(world, &head, body),
        (Err(unread), _) => (Reply::Whole(unreadable(provider, unread)), None),
    };
    world.journal().close(seq, fault, what_is_sent(&reply));
    send(world, line, reply).await
}

fn what_is_sent(reply: &Reply) -> Option<crate::sandbox::journal::Answered> {
    match reply {
        Reply::Whole(answer) | Reply::Late(answer, _) | Reply::Half(answer) => {
            Some(answered(answer.status, &answer.body))
        }
        Reply::Cut => None,
    }
}

/// The headers that hold a key, and what each is worth.
fn keys(world: &World, provider: Provider, head: &Parts) -> Vec<(&'static str, Key)> {
    let worth = |name: &'static str, right: &str| (name, key(head, name, right));
    match provider {
        Provider::Ljpc => vec![worth(LJPC_KEY, &world.api_key)],
        Provider::Leanstack => [leanstack::TOKEN_HEADER, leanstack::TOKEN_HEADER_2022]
            .map(|name| worth(name, &world.leanstack_token))
            .to_vec(),
    }
}

fn key(head: &Parts, name: &str, right: &str) -> Key {
    match head.headers.get(name) {
        None => Key::Missing,
        Some(value) if value.as_bytes() == right.as_bytes() => Key::Right,
        Some(_) => Key::Unknown,
    }
}

fn unreadable(provider: Provider, unread: &Unread) -> Answer {
    let (status, what) = match unread {
        Unread::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
        Unread::Broken => (StatusCode::BAD_REQUEST, "The body could not be read."),
    };
    match provider {
        Provider::Ljpc => Answer::refusal(status, what),
        Provider::Leanstack => leanstack::message(status, what),
    }
}

fn decide_ljpc(world: &World, head: &Parts, body: &[u8]) -> (Reply, Option<FaultKind>) {
    let method = head.method.as_str();
    match route(method, head.uri.path()) {
        Route::Unknown => (Reply::Whole(Answer::not_found("Not found")), None),
        Route::OtherMethod(allowed) => {
            let allowed = allowed.join(", ");
            let what = wrong_method(method, &allowed);
            let answer = Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, &what);
            (Reply::Whole(allowing(answer, &allowed)), None)
        }
        Route::To(endpoint, parameter) => {
            let parameter = parameter.map(ljpc::decoded);
            let call = Call {
                parameter: parameter.as_deref(),
                query: head.uri.query().unwrap_or(""),
                key: key(head, LJPC_KEY, &world.api_key),
                body,
            };
            let target = Target {
                process: &|fate| ljpc::serve(world, endpoint, &call, fate),
                foreign: foreign(endpoint),
                unauthorized: "API key is invalid",
                enveloped: true,
                late_site_default: world.late_site_default,
            };
            carry_out(world, Point::Http(endpoint), || ljpc::facts(world, endpoint, &call), &target)
        }
    }
}

fn decide_leanstack(world: &World, head: &Parts, body: &[u8]) -> (Reply, Option<FaultKind>) {
    let method = head.method.as_str();
    match leanstack::route(method, head.uri.path()) {
        leanstack::Route::Unknown => {
            (Reply::Whole(leanstack::message(StatusCode::NOT_FOUND, "Not found")), None)
        }
        leanstack::Route::OtherMethod => {
            let what = wrong_method(method, "POST");
            let answer = leanstack::message(StatusCode::METHOD_NOT_ALLOWED, &what);
            (Reply::Whole(allowing(answer, "POST")), None)
        }
        leanstack::Route::To(endpoint) => {
            let call = leanstack::Call {
                token: key(head, leanstack::TOKEN_HEADER, &world.leanstack_token),
                token_2022: key(head, leanstack::TOKEN_HEADER_2022, &world.leanstack_token),
                body,
            };
            let target = Target {
                // Nothing here has a future that a fault could decide about.
                process: &|_| leanstack::serve(world, endpoint, &call),
                foreign: "You don't have permission to do this",
                unauthorized: leanstack::INVALID_TOKEN,
                enveloped: false,
                late_site_default: world.late_site_default,
            };
            carry_out(world, Point::Leanstack(endpoint), || leanstack::facts(&call), &target)
        }
    }
}

/// As a fault has it, or else as usual.
fn carry_out(
    world: &World,
    at: Point,
    facts: impl FnOnce() -> Facts,
    target: &Target<'_>,
) -> (Reply, Option<FaultKind>) {
    match world.faults.take(at, facts) {
        Some(spec) => (strike(target, &spec), Some(spec.fault)),
        None => (Reply::Whole((target.process)(Fate::Usual)), None),
    }
}

fn wrong_method(method: &str, allowed: &str) -> String {
    let method: String = method.chars().take(20).collect();
    format!("The {method} method is not supported for this route. Supported methods: {allowed}.")
}

fn allowing(answer: Answer, allowed: &str) -> Answer {
    match HeaderValue::from_str(allowed) {
        Ok(value) => answer.with(header::ALLOW, value),
        Err(_) => answer,
    }
}

async fn send(world: &World, line: &Line, reply: Reply) -> Response {
    match reply {
        Reply::Whole(answer) => response(answer),
        Reply::Late(answer, delay) => {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = world.stopping.cancelled() => line.cut(),
            }
            response(answer)
        }
        Reply::Half(answer) => half(answer),
        Reply::Cut => {
            line.cut();
            Response::new(Body::empty())
        }
    }
}

fn response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// The head promises the whole body; after its first half the connection breaks.
fn half(mut answer: Answer) -> Response {
    answer.headers.insert(header::CONTENT_LENGTH, answer.body.len().into());
    answer.body.truncate(answer.body.len() / 2);
    let first = std::mem::take(&mut answer.body);
    let mut response = response(answer);
    let broken = stream::once(async {
        // hyper flushes only when the body makes it wait; without that the first half would never be sent.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let halves = stream::iter([Ok(first)]).chain(broken);
    *response.body_mut() = Body::from_stream(halves);
    response
}
