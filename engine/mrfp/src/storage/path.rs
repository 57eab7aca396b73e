//! Names of things in the storage: `file:` URIs that stay inside its directory.

use core::fmt;
use std::path::{Path, PathBuf};

/// Parts of a name; beyond it the name is refused.
const PARTS_MAX: usize = 16;

/// Length of a name, octets; beyond it the name is refused.
const PATH_BYTES_MAX: usize = 512;

/// A place in the storage, relative to its directory. It has no part that leads out of it, and no
/// hidden one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoragePath(Vec<Box<str>>);

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Another scheme than `file`.
    #[error("only file: is stored here")]
    Scheme,
    /// A host, which could only be another one.
    #[error("file: with a host")]
    Host,
    /// A part that is empty, leads elsewhere, is hidden, or holds what a name should not.
    #[error("a part of the path is not allowed")]
    Part,
    /// Too long or too deep.
    #[error("path longer than {PATH_BYTES_MAX} octets or deeper than {PARTS_MAX}")]
    TooLong,
}

impl StoragePath {
    /// Reads `file:///a/b`, `file:a/b` or `a/b`; `%` escapes are undone first.
    ///
    /// # Errors
    ///
    /// The controller's fault; nothing that is refused is touched.
    pub fn parse(uri: &str) -> Result<Self, PathError> {
        let path = match uri.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => rest,
            Some((scheme, _)) if is_scheme(scheme) => return Err(PathError::Scheme),
            _ => uri,
        };
        let path = match path.strip_prefix("//") {
            Some(rest) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                    return Err(PathError::Host);
                }
                path
            }
            None => path.strip_prefix('/').unwrap_or(path),
        };
        let path = unescape(path).ok_or(PathError::Part)?;
        if path.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let parts: Vec<Box<str>> = path
            .strip_suffix('/')
            .unwrap_or(&path)
            .split('/')
            .map(Into::into)
            .collect();
        if parts.len() > PARTS_MAX {
            return Err(PathError::TooLong);
        }
        if parts.iter().all(|part| is_good(part)) {
            Ok(Self(parts))
        } else {
            Err(PathError::Part)
        }
    }

    /// The place below `root`.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        let mut path = root.to_owned();
        path.extend(self.0.iter().map(|part| &**part));
        path
    }

    /// The media type that the name's ending stands for.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        let name = self.0.last().map_or("", |name| name);
        let (_, ending) = name.rsplit_once('.').unwrap_or(("", ""));
        media_type(ending)
    }
}

impl fmt::Display for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("file://")?;
        for part in &self.0 {
            f.write_str("/")?;
            for octet in part.bytes() {
                match octet {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        write!(f, "{}", char::from(octet))?;
                    }
                    other => write!(f, "%{other:02X}")?,
                }
            }
        }
        Ok(())
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
}

fn is_good(part: &str) -> bool {
    !part.is_empty() && !part.starts_with('.') && !part.chars().any(|c| c.is_control() || c == '\\')
}

/// Undoes `%` escapes; `None` when one is broken or the result is no text.
pub(crate) fn unescape(text: &str) -> Option<String> {
    String::from_utf8(unescape_octets(text)?).ok()
}

/// As [`unescape`], for any octets.
pub(crate) fn unescape_octets(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = rest.get(..2)?;
            let digits = core::str::from_utf8(digits).ok()?;
            if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            out.push(*first);
        }
    }
    Some(out)
}

/// Endings of file names and the media types they stand for.
const ENDINGS: [(&str, &str); 10] = [
    ("txt", "text/plain"),
    ("cpim", "message/cpim"),
    ("html", "text/html"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("iscomposing", "application/im-iscomposing+xml"),
    ("jpg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("bin", "application/octet-stream"),
];

fn media_type(ending: &str) -> &'static str {
    let mut known = ENDINGS.iter();
    let known = known.find(|(e, _)| e.eq_ignore_ascii_case(ending));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// The ending for a media type, parameters ignored.
pub(crate) fn ending(content_type: &str) -> &'static str {
    let bare = content_type.split(';').next().unwrap_or_default().trim();
    let mut known = ENDINGS.iter();
    let known = known.find(|(_, media_type)| media_type.eq_ignore_ascii_case(bare));
    known.map_or("bin", |(ending, _)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for (uri, path) in [
            ("file:///msgs/welcome.cpim", Ok("file:///msgs/welcome.cpim")),
            ("FILE://localhost/a/b", Ok("file:///a/b")),
            ("file:a/b/", Ok("file:///a/b")),
            ("a b", Ok("file:///a%20b")),
            ("caf%C3%A9", Ok("file:///caf%C3%A9")),
            ("http://h/a", Err(PathError::Scheme)),
            ("file://other/a", Err(PathError::Host)),
            ("file:///../etc/passwd", Err(PathError::Part)),
            ("a/%2e%2e/b", Err(PathError::Part)),
            ("a/..%2fb", Err(PathError::Part)),
            ("a//b", Err(PathError::Part)),
            ("file:////etc", Err(PathError::Part)),
            ("./a", Err(PathError::Part)),
            (".hidden", Err(PathError::Part)),
            ("a%00b", Err(PathError::Part)),
            ("a\\b", Err(PathError::Part)),
            ("a%zz", Err(PathError::Part)),
            ("", Err(PathError::Part)),
        ] {
            let found = StoragePath::parse(uri).map(|p| p.to_string());
            assert_eq!(found, path.map(str::to_owned), "{uri}");
        }
        let deep = vec!["a"; PARTS_MAX + 1].join("/");
        assert_eq!(StoragePath::parse(&deep), Err(PathError::TooLong));
        let long = "a".repeat(PATH_BYTES_MAX + 1);
        assert_eq!(StoragePath::parse(&long), Err(PathError::TooLong));
    }

    #[test]
    fn endings_and_media_types_stand_for_each_other() {
        for (ending, of_type) in ENDINGS {
            assert_eq!(media_type(ending), of_type);
            assert_eq!(super::ending(of_type), ending);
        }
        assert_eq!(super::ending("Text/Plain; charset=utf-8"), "txt");
        assert_eq!(super::ending("x/y"), "bin");
        assert_eq!(media_type("odd"), "application/octet-stream");
    }
}
