//! Responses with the pages and their files. Nothing from elsewhere is run, shown or loaded, and nothing is cached.

use super::shell::{Content, Frame, shell};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Only own files, loaded only by the pages. The search of talks is a form that asks for an address here. No inline styles or scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A page in its frame. Also an error is a page, so that an open page shows it by itself.
pub(crate) fn answer(frame: &Frame<'_>, content: &Content) -> Response {
    response(content.status, "text/html; charset=utf-8", shell(frame, content))
}

/// `/page.css`
pub(crate) async fn style() -> Response {
    response(StatusCode::OK, "text/css; charset=utf-8", include_str!("../page.css"))
}

/// `/page.js`
pub(crate) async fn script() -> Response {
    response(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("../page.js"))
}

/// `/page.svg`
pub(crate) async fn icon() -> Response {
    response(StatusCode::OK, "image/svg+xml", include_str!("../page.svg"))
}

fn response(status: StatusCode, kind: &'static str, body: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}
