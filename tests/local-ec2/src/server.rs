//! The HTTP server.

mod beside;
mod connection;
mod control;
mod ebs_direct;

use std::io;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, Response, Uri, header::CONTENT_TYPE},
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinHandle};

use self::connection::{CuttableListener, Cutter};
use crate::service::{Reply, Request, SharedService};

/// Serves until it is dropped.
pub(crate) struct Server(JoinHandle<io::Result<()>>);

impl Server {
    pub(crate) fn start(listener: TcpListener, service: SharedService) -> Self {
        let router = Router::new()
            .route(control::PATH, post(control::control))
            .route("/list-rules", post(beside::list_rules))
            .route("/rules", post(beside::create_rule))
            .route("/rules/{identifier}", get(beside::get_rule).delete(beside::delete_rule))
            .route("/snapshots", post(ebs_direct::start))
            .route("/snapshots/completion/{id}", post(ebs_direct::complete))
            .fallback(answer)
            .with_state(service);
        let router = router.into_make_service_with_connect_info::<Cutter>();
        Self(tokio::spawn(async { axum::serve(CuttableListener(listener), router).await }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(
    State(service): State<SharedService>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if headers.contains_key("x-amz-target") {
        return beside::quota();
    }
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let user_agent = header("x-amz-user-agent").or_else(|| header("user-agent")).unwrap_or_default();
    let request = Request::read(uri.query().unwrap_or_default(), &body, user_agent);
    let action = request.action.clone();
    match service.answer(request) {
        Reply::Reset => {
            tracing::debug!(action, "the connection is reset");
            cutter.cut();
            Response::new(Body::empty())
        }
        Reply::Answer { status, body, request_id, delay } => {
            // The work is done whether or not the caller waits for the answer.
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            tracing::debug!(action, status, "answered");
            let response = Response::builder()
                .status(status)
                .header(CONTENT_TYPE, "text/xml;charset=UTF-8")
                .header("x-amzn-requestid", request_id)
                .body(Body::from(body));
            response.unwrap_or_default()
        }
    }
}
