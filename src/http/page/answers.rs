//! Responses with the page and its files. Nothing from elsewhere is run, shown or loaded, and nothing is cached.

use super::{Screen, render, render_unreadable};
use crate::clock::UnixSeconds;
use crate::language::Language;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Only own files, loaded only by the page. No inline styles or scripts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/`
pub(crate) fn page(screen: &Screen, language: Language) -> Response {
    response(StatusCode::OK, "text/html; charset=utf-8", render(screen, language))
}

/// `/` if the database cannot be read. Still a page, so that an open page shows it by itself.
pub(crate) fn unreadable(account: &str, why: &str, language: Language, now: UnixSeconds) -> Response {
    let page = render_unreadable(account, why, language, now);
    response(StatusCode::SERVICE_UNAVAILABLE, "text/html; charset=utf-8", page)
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
