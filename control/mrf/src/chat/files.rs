//! Files on their way out and in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cpim::Cpim;
use crate::limits::{MESSAGE_BYTES_MAX, SAVE_NAMES_MAX};

/// A file to send.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) octets: Vec<u8>,
}

/// Media types by the ending of a name; anything else is octets.
const MEDIA_TYPES: [(&str, &str); 9] = [
    ("txt", "text/plain"),
    ("html", "text/html"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
];

/// Reads a file to send.
pub(super) fn read(path: &str) -> io::Result<File> {
    let path = Path::new(path);
    if fs::metadata(path)?.len() > MESSAGE_BYTES_MAX as u64 {
        let text = format!("larger than {MESSAGE_BYTES_MAX} octets");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    let octets = fs::read(path)?;
    let name = path.file_name().unwrap_or_default();
    Ok(File {
        name: name.to_string_lossy().into_owned(),
        media_type: media_type(path),
        octets,
    })
}

fn media_type(path: &Path) -> &'static str {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let known = MEDIA_TYPES
        .iter()
        .find(|(known, _)| ending.eq_ignore_ascii_case(known));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// Writes the content of a message into `directory`, over nothing that is there; where.
pub(super) fn save(directory: &Path, message: &Cpim) -> io::Result<PathBuf> {
    let name = safe_name(message.file_name.as_deref().unwrap_or_default());
    for serial in 0..SAVE_NAMES_MAX {
        let path = directory.join(match serial {
            0 => name.clone(),
            serial => format!("{serial}-{name}"),
        });
        // What is there, a link too, is never followed or written over.
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => return file.write_all(&message.body).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A stranger's file name as one that leads nowhere: its last part, in letters, digits, `.`, `_` and `-`,
/// which does not begin with a dot.
fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') => c,
        _ => '_',
    };
    let name: String = last.chars().map(safe).take(NAME_CHARS_MAX).collect();
    match name.trim_start_matches('.') {
        "" => "file".to_owned(),
        name => name.to_owned(),
    }
}

/// Characters of a file name that are kept.
const NAME_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_file_name_leads_nowhere() {
        for (name, safe) in [
            ("a.png", "a.png"),
            ("../../etc/passwd", "passwd"),
            ("..", "file"),
            ("c:\\x\\y.txt", "y.txt"),
            (".bashrc", "bashrc"),
            ("", "file"),
            ("\u{e4} b\n", "__b_"),
        ] {
            assert_eq!(safe_name(name), safe);
        }
        assert_eq!(safe_name(&"x".repeat(1000)).len(), NAME_CHARS_MAX);
    }

    #[test]
    fn media_types_come_from_the_ending() {
        assert_eq!(media_type(Path::new("a/b.PNG")), "image/png");
        let octets = "application/octet-stream";
        assert_eq!(media_type(Path::new("a/b")), octets);
        assert_eq!(media_type(Path::new("png")), octets);
    }
}
