use super::*;

fn failure(to: RequestKind, status: u16, content: Content) -> Option<Failure> {
    ResponseParts { to, status, content, location: None }.failure()
}

fn kind_of(to: RequestKind, status: u16, content: Content) -> Option<Kind> {
    failure(to, status, content).map(|failure| failure.kind)
}

#[test]
fn a_body_is_what_it_is_whatever_its_media_type_says() {
    let problem = br#" {"title":"Forbidden","status":403}"#;
    for label in
        [None, Some("application/problem+json"), Some("text/plain"), Some("text/html; charset=UTF-8")]
    {
        assert_eq!(Content::of(label, problem), Content::Object, "{label:?}");
    }
    assert_eq!(Content::of(Some("application/json"), b"\n<!DOCTYPE html>"), Content::Page);
    assert_eq!(Content::of(Some("application/xhtml+xml"), b"Forbidden"), Content::Page);
    assert_eq!(Content::of(Some("text/html"), b""), Content::Page, "a block's bare answer");
    for json in [&b"[]"[..], b" [1]\n", b"[{\"title\":\"Forbidden\"}]", b"\"Forbidden\"", b"\"\""] {
        assert_eq!(Content::of(Some("text/html"), json), Content::Json);
    }
    for nothing in [&b""[..], b" \n", b"null"] {
        assert_eq!(Content::of(None, nothing), Content::Empty);
    }
    for other in [&b"404 page not found"[..], b"{\"cut", b"[1", b"\"cut", b"403", b"\xff"] {
        assert_eq!(Content::of(Some("text/plain"), other), Content::Other);
    }
}

#[test]
fn a_body_of_which_there_is_only_a_part_is_what_it_begins_as() {
    let of = |body: &str| Content::beginning(Some("text/plain"), body.as_bytes());
    assert_eq!(of(" \n{\"title\":\"Forb"), Content::Object);
    assert_eq!(of("[{"), Content::Json);
    assert_eq!(of("<html><bo"), Content::Page);
    assert_eq!(Content::beginning(Some("text/html"), b"Forb"), Content::Page);
    assert_eq!((of(" "), of("403"), of("\"Forb")), (Content::Empty, Content::Other, Content::Other));
}

#[test]
fn a_close_request_is_taken_or_its_answer_has_one_kind() {
    let kind = |status, content| kind_of(RequestKind::Close, status, content);
    assert_eq!(kind(202, Content::Empty), None);
    assert_eq!(kind(200, Content::Page), Some(Kind::Transient), "a gateway's page");
    assert_eq!(kind(422, Content::Object), Some(Kind::Closing));
    assert_eq!(kind(404, Content::Object), Some(Kind::Gone));
    assert_eq!(kind(404, Content::Page), Some(Kind::Transient));
    assert_eq!(kind(403, Content::Object), Some(Kind::Denied));
    assert_eq!(kind(403, Content::Page), Some(Kind::Forbidden));
    assert_eq!(kind(400, Content::Object), Some(Kind::Rejected));
    assert_eq!(kind(400, Content::Page), Some(Kind::Unexpected), "a firewall's");
    assert_eq!(kind(302, Content::Empty), Some(Kind::Unexpected));
    assert_eq!(kind(500, Content::Empty), Some(Kind::Transient));
    assert_eq!(kind(429, Content::Empty), Some(Kind::RateLimited));
}

#[test]
fn a_list_that_is_not_served_concerns_itself_alone_and_a_block_shows_on_it() {
    let kind = |status, content| kind_of(RequestKind::List, status, content);
    assert_eq!((kind(200, Content::Object), kind(204, Content::Empty)), (None, None));
    assert_eq!(kind(403, Content::Object), Some(Kind::NotServed));
    assert_eq!(kind(404, Content::Object), Some(Kind::NotServed));
    for status in [400, 405, 422, 302] {
        assert_eq!(kind(status, Content::Object), Some(Kind::Unexpected));
    }
    assert_eq!(kind(404, Content::Page), Some(Kind::Transient), "a gateway's");
    assert_eq!(kind(403, Content::Page), Some(Kind::Forbidden));
    assert_eq!(kind(403, Content::Empty), Some(Kind::Forbidden));
    assert_eq!(kind(401, Content::Object), Some(Kind::Unauthorized));
    assert_eq!(kind(429, Content::Empty), Some(Kind::RateLimited));
    assert_eq!(kind(502, Content::Page), Some(Kind::Transient));
}

#[test]
fn an_account_that_is_not_served_shows_nothing_about_the_token() {
    let kind = |status, content| kind_of(RequestKind::Account, status, content);
    assert_eq!(kind(200, Content::Object), None);
    for status in [204, 403, 404] {
        assert_eq!(kind(status, Content::Object), Some(Kind::NotServed));
    }
    assert_eq!(kind(404, Content::Other), Some(Kind::Transient));
    assert_eq!(kind(401, Content::Object), Some(Kind::Unauthorized));
}

#[test]
fn a_refused_token_needs_a_person_and_a_gateway_does_not() {
    let kind = |status, content| kind_of(RequestKind::Token, status, content);
    assert_eq!(kind(200, Content::Object), None);
    for status in [400, 401, 403, 422] {
        assert_eq!(kind(status, Content::Object), Some(Kind::Unauthorized));
    }
    for status in [404, 408] {
        assert_eq!(kind(status, Content::Object), Some(Kind::Transient), "nobody revoked anything");
    }
    for status in [400, 404, 408, 502] {
        assert_eq!(kind(status, Content::Page), Some(Kind::Transient));
    }
    assert_eq!(kind(503, Content::Object), Some(Kind::Transient));
    assert_eq!(kind(403, Content::Page), Some(Kind::Forbidden));
    assert_eq!(kind(402, Content::Object), Some(Kind::Unpaid));
    assert_eq!(kind(429, Content::Page), Some(Kind::RateLimited));
    for status in [204, 302, 307] {
        assert_eq!(kind(status, Content::Empty), Some(Kind::Unexpected));
    }
}

#[test]
fn every_status_has_one_kind() {
    let kind = |status, content| kind_of(RequestKind::Fetch, status, content);
    assert_eq!(kind(200, Content::Object), None);
    assert_eq!(kind(204, Content::Empty), Some(Kind::Gone));
    assert_eq!(kind(404, Content::Object), Some(Kind::Gone));
    assert_eq!(kind(404, Content::Empty), Some(Kind::Gone));
    assert_eq!(kind(404, Content::Page), Some(Kind::Transient));
    assert_eq!(kind(404, Content::Other), Some(Kind::Transient), "404 page not found");
    assert_eq!(kind(401, Content::Page), Some(Kind::Unauthorized));
    assert_eq!(kind(402, Content::Object), Some(Kind::Unpaid));
    for json in [Content::Object, Content::Json] {
        assert_eq!(kind(403, json), Some(Kind::Denied));
        assert_eq!(kind(404, json), Some(Kind::Gone));
    }
    for bare in [Content::Page, Content::Empty, Content::Other] {
        assert_eq!(kind(403, bare), Some(Kind::Forbidden));
    }
    assert_eq!(kind(429, Content::Page), Some(Kind::RateLimited));
    for status in [500, 502, 503, 504, 599] {
        assert_eq!(kind(status, Content::Page), Some(Kind::Transient));
    }
    for status in [201, 202, 206, 400, 405, 408, 410, 422] {
        let failure = failure(RequestKind::Fetch, status, Content::Object).unwrap();
        assert_eq!((failure.kind, failure.shape), (Kind::Unexpected, Some(Shape::Status(status))));
    }
}

#[test]
fn redirects_to_one_host_are_of_one_shape_and_name_their_address_without_its_query() {
    let redirected = |to: &str| {
        let answer = ResponseParts {
            to: RequestKind::Fetch,
            status: 302,
            content: Content::Empty,
            location: Some(to),
        };
        answer.failure().unwrap()
    };
    let login = redirected("https://elsewhere.example/login?back=%2Ftalks%2F1&secret=hush");
    assert!(login.detail.contains("https://elsewhere.example/login,"), "{login}");
    assert_eq!(login.shape, Some(Shape::Redirect("elsewhere.example".into())));
    assert_eq!(login.shape, redirected("https://elsewhere.example/talks/2").shape);
    assert_ne!(login.shape, redirected("https://other.example/").shape);
    assert_eq!(redirected("/login").shape, Some(Shape::Redirect(String::new())));
}
