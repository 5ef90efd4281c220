//! The way of a request: read, noted, found, struck by a fault or carried out, answered.

use std::{io, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use futures_util::{StreamExt, stream};

use super::{
    Unread,
    connection::Line,
    fault::{Reply, strike},
    read_body,
};
use crate::{
    clock,
    sandbox::{
        faults::{FaultKind, Point},
        journal::{answered, received},
        ljpc::{
            self, Call, Fate, Key,
            answer::Answer,
            endpoint::{Route, route},
        },
        state::World,
    },
};

/// Answers a request of the simulated API.
///
/// From the noting to the decision nothing is awaited, so a sender that hangs up can't leave a request half done.
pub(super) async fn answer(
    State(world): State<Arc<World>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = read_body(body).await;
    let key = key(&world, &head.headers);
    let seen = body.as_deref().unwrap_or_default();
    let entry = received(clock::now(), &head.method, &head.uri, &head.headers, key, seen);
    let seq = world.journal().note(entry);
    let (reply, fault) = match &body {
        Ok(body) => {
            let call = Call { parameter: None, query: head.uri.query().unwrap_or(""), key, body };
            decide(&world, head.method.as_str(), head.uri.path(), call)
        }
        Err(unread) => (Reply::Whole(unreadable(unread)), None),
    };
    world.journal().close(seq, fault, what_is_sent(&reply));
    send(&world, &line, reply).await
}

fn what_is_sent(reply: &Reply) -> Option<crate::sandbox::journal::Answered> {
    match reply {
        Reply::Whole(answer) | Reply::Late(answer, _) | Reply::Half(answer) => {
            Some(answered(answer.status, &answer.body))
        }
        Reply::Cut => None,
    }
}

fn key(world: &World, headers: &HeaderMap) -> Key {
    match headers.get("x-api-key") {
        None => Key::Missing,
        Some(value) if value.as_bytes() == world.api_key.as_bytes() => Key::Right,
        Some(_) => Key::Unknown,
    }
}

fn unreadable(unread: &Unread) -> Answer {
    match unread {
        Unread::TooLarge => {
            Answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.")
        }
        Unread::Broken => Answer::refusal(StatusCode::BAD_REQUEST, "The body could not be read."),
    }
}

fn decide(world: &World, method: &str, path: &str, call: Call<'_>) -> (Reply, Option<FaultKind>) {
    match route(method, path) {
        Route::Unknown => (Reply::Whole(Answer::not_found("Not found")), None),
        Route::OtherMethod(allowed) => (Reply::Whole(other_method(method, &allowed)), None),
        Route::To(endpoint, parameter) => {
            let parameter = parameter.map(ljpc::decoded);
            let call = Call { parameter: parameter.as_deref(), ..call };
            let facts = || ljpc::facts(world, endpoint, &call);
            match world.faults.take(Point::Http(endpoint), facts) {
                Some(spec) => (strike(world, endpoint, &call, &spec), Some(spec.fault)),
                None => (Reply::Whole(ljpc::serve(world, endpoint, &call, Fate::Usual)), None),
            }
        }
    }
}

fn other_method(method: &str, allowed: &[&str]) -> Answer {
    let allowed = allowed.join(", ");
    let method: String = method.chars().take(20).collect();
    let message = format!(
        "The {method} method is not supported for this route. Supported methods: {allowed}."
    );
    let answer = Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, &message);
    match HeaderValue::from_str(&allowed) {
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
