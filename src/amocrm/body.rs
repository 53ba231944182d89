//! Response bodies: bounded, decompressed, and without a byte order mark.

use super::connection::transport;
use super::error::{Failure, Kind, Shape};
use flate2::bufread::GzDecoder;
use reqwest::Response;
use reqwest::header::{self, HeaderMap};
use std::io::{self, Read};

/// The first bytes of a gzip member.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A byte order mark in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The body, up to `cap` bytes as sent and as decompressed.
///
/// # Errors
/// [`Kind::Transient`] if the body is cut off, [`Kind::Unexpected`] if it is too large or has an encoding that was
/// not requested.
pub(super) async fn read(response: &mut Response, cap: usize) -> Result<Vec<u8>, Failure> {
    let announced = response.content_length().unwrap_or(0);
    if announced > cap as u64 {
        return Err(too_large(cap));
    }
    let (body, end) = received(response, cap).await;
    end?;
    decoded(body, response.headers(), cap)
}

/// As much of the body as can be read, decompressed, and whether it is complete.
pub(super) async fn beginning(response: &mut Response, cap: usize) -> (Vec<u8>, bool) {
    let (body, end) = received(response, cap).await;
    if end.is_ok()
        && let Ok(whole) = decoded(body.clone(), response.headers(), cap)
    {
        return (whole, true);
    }
    let is_gzip = body.starts_with(&GZIP_MAGIC);
    let mut begun = Vec::new();
    match is_gzip {
        // What comes before the error is kept.
        true => drop(GzDecoder::new(&*body).take(cap as u64).read_to_end(&mut begun)),
        false => begun = body,
    }
    (without_mark(begun), false)
}

/// The body as sent, up to `cap` bytes. The error is why it ends early, if it does.
async fn received(response: &mut Response, cap: usize) -> (Vec<u8>, Result<(), Failure>) {
    let announced = response.content_length().unwrap_or(0);
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(usize::MAX).min(cap));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > cap => {
                let room = cap - body.len();
                body.extend_from_slice(&chunk[..room]);
                return (body, Err(too_large(cap)));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, Ok(())),
            Err(error) => return (body, Err(Failure::new(Kind::Transient, transport(&error)))),
        }
    }
}

fn decoded(mut body: Vec<u8>, headers: &HeaderMap, cap: usize) -> Result<Vec<u8>, Failure> {
    // The last encoding named was applied last.
    for encoding in encodings(headers).iter().rev() {
        body = match encoding.as_str() {
            "gzip" | "x-gzip" => gunzip(&body, cap)?,
            _ => {
                let detail = format!("the body is encoded as {encoding:?}, which talkmirror did not request");
                return Err(Failure::unexpected(Shape::Encoded, detail));
            }
        };
    }
    Ok(without_mark(body))
}

fn without_mark(mut body: Vec<u8>) -> Vec<u8> {
    if body.starts_with(BOM) {
        body.drain(..BOM.len());
    }
    body
}

/// The names in `Content-Encoding`, in lower case, without those that change nothing.
fn encodings(headers: &HeaderMap) -> Vec<String> {
    let named = headers.get_all(header::CONTENT_ENCODING).iter();
    named
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .filter(|name| !matches!(name.as_str(), "" | "identity"))
        .collect()
}

/// Reads all members in order. What follows the last one is padding.
fn gunzip(body: &[u8], cap: usize) -> Result<Vec<u8>, Failure> {
    let (mut plain, mut rest) = (Vec::new(), body);
    while rest.starts_with(&GZIP_MAGIC) {
        let mut member = GzDecoder::new(rest);
        let room = (cap + 1 - plain.len()) as u64;
        match member.by_ref().take(room).read_to_end(&mut plain) {
            Ok(_) if plain.len() > cap => return Err(too_large(cap)),
            Ok(_) => rest = member.into_inner(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Failure::new(Kind::Transient, "the answer was cut off: its gzip ends too early"));
            }
            Err(error) => {
                return Err(Failure::unexpected(Shape::Encoded, format!("the body is not gzip: {error}")));
            }
        }
    }
    match plain.is_empty() && !body.is_empty() && !body.starts_with(&GZIP_MAGIC) {
        true => Err(Failure::unexpected(Shape::Encoded, "the body is not gzip, although its header says so")),
        false => Ok(plain),
    }
}

fn too_large(cap: usize) -> Failure {
    let mebibytes = cap / (1024 * 1024);
    Failure::unexpected(Shape::TooLarge, format!("the body is over {mebibytes} MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_members_are_read_and_what_comes_after_them_is_not() {
        let body = [member(b"{\"talk"), member(b""), member(b"_id\":1}"), vec![0; 7]].concat();
        assert_eq!(gunzip(&body, 1000).unwrap(), b"{\"talk_id\":1}");
        assert_eq!(gunzip(b"", 1000).unwrap(), b"");
    }

    #[test]
    fn a_cut_off_body_is_transient_and_what_is_not_gzip_is_unexpected() {
        let body = member(&b"0123456789".repeat(100));
        for cut in [1, 5, 15, body.len() - 9, body.len() - 1] {
            let failure = gunzip(&body[..cut], 10_000).unwrap_err();
            let kind = if cut == 1 { Kind::Unexpected } else { Kind::Transient };
            assert_eq!(failure.kind, kind, "{cut}: {failure}");
        }
        assert_eq!(gunzip(b"<html>", 1000).unwrap_err().kind, Kind::Unexpected);
        let mut wrong = member(b"0123456789");
        let checksum = wrong.len() - 8;
        wrong[checksum] ^= 1;
        assert_eq!(gunzip(&wrong, 1000).unwrap_err().kind, Kind::Unexpected);
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_is_refused_at_the_cap() {
        let bomb = member(&vec![b' '; 2_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(gunzip(&bomb, 1_000_000).unwrap_err().shape, Some(Shape::TooLarge));
        assert_eq!(gunzip(&member(&[b' '; 1000]), 1000).unwrap().len(), 1000, "just within");
        assert_eq!(gunzip(&member(&[b' '; 1001]), 1000).unwrap_err().shape, Some(Shape::TooLarge));
        let many = [member(&[b' '; 600]), member(&[b' '; 600])].concat();
        assert_eq!(gunzip(&many, 1000).unwrap_err().shape, Some(Shape::TooLarge), "all members together");
    }

    #[test]
    fn encodings_are_named_in_any_way_that_http_allows() {
        let named = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            encodings(&headers)
        };
        assert_eq!(named(&["gzip"]), ["gzip"]);
        assert_eq!(named(&["X-GZip , identity"]), ["x-gzip"]);
        assert_eq!(named(&["gzip", "br"]), ["gzip", "br"]);
        assert_eq!(named(&[""]), [""; 0]);
    }
}
