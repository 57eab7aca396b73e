//! Files with passwords: who may call, and who we are where we are asked.

use std::path::Path;

use anyhow::{Context, bail};
use sip::{Algorithm, Credentials, Qop, Secret, Users};

use crate::config::Options;

/// What the files hold.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Of `--users`.
    pub users: Option<Users>,
    /// Of `--credentials`.
    pub credentials: Vec<Credentials>,
}

/// Reads the files that `options` name.
///
/// # Errors
///
/// With file and line, when one cannot be read or a line is not as it should be.
pub fn read(options: &Options) -> anyhow::Result<Secrets> {
    let mut secrets = Secrets::default();
    if let Some(path) = &options.users {
        let lines = lines::<2>("--users", path, "NAME:PASSWORD")?;
        let passwords = lines.into_iter().map(|[name, word]| (name, Secret(word)));
        let realm = options.realm.clone().or(options.domain.first().cloned());
        let Some(realm) = realm else {
            bail!("--users: name the realm (`realm`), or a domain (--domain)");
        };
        secrets.users = Some(Users {
            realm,
            passwords: passwords.collect(),
            algorithms: if options.digest.is_empty() {
                Algorithm::USUAL.to_vec()
            } else {
                options.digest.iter().map(|digest| digest.0).collect()
            },
            qops: if options.digest_qop.is_empty() {
                vec![Qop::Auth]
            } else {
                options.digest_qop.iter().map(|qop| qop.0).collect()
            },
        });
    }
    if let Some(path) = &options.credentials {
        let lines = lines::<3>("--credentials", path, "REALM:NAME:PASSWORD")?;
        let of = |[realm, user, password]: [String; 3]| Credentials {
            realm,
            user,
            password: Secret(password),
        };
        secrets.credentials = lines.into_iter().map(of).collect();
    }
    Ok(secrets)
}

/// The lines of a file, cut at the first colons; empty ones and those that begin with `#` are
/// skipped.
fn lines<const PARTS: usize>(
    flag: &str,
    path: &Path,
    form: &str,
) -> anyhow::Result<Vec<[String; PARTS]>> {
    let name = format!("{flag} {}", path.display());
    let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let parts: Vec<_> = line.splitn(PARTS, ':').map(str::to_owned).collect();
        match <[String; PARTS]>::try_from(parts) {
            Ok(parts) if parts.iter().all(|part| !part.is_empty()) => all.push(parts),
            // What the line says stays out of the log.
            _ => bail!("{name}: line {}: expected {form}", at + 1),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, text: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("mrf-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn passwords_may_hold_colons_and_lines_may_be_comments() {
        let options = Options {
            users: Some(with("users", "# who\n\nann:a:b\nbob@x.net:c\n")),
            credentials: Some(with("credentials", "home1.net:focus:p:q\n")),
            domain: vec!["home2.net".to_owned()],
            ..Options::default()
        };
        let secrets = read(&options).unwrap();
        let users = secrets.users.unwrap();
        assert_eq!((&*users.realm, users.passwords.len()), ("home2.net", 2));
        assert_eq!(users.passwords["ann"], Secret("a:b".to_owned()));
        let own = &secrets.credentials[0];
        assert_eq!(
            (&*own.realm, &*own.user, &*own.password.0),
            ("home1.net", "focus", "p:q")
        );
    }

    #[test]
    fn a_bad_line_is_named_without_its_text() {
        let path = with("bad", "ann:a\nhidden\n");
        let nowhere = Options {
            users: Some(with("good", "ann:a\n")),
            ..Options::default()
        };
        assert!(
            read(&nowhere)
                .unwrap_err()
                .to_string()
                .contains("name the realm")
        );
        let options = Options {
            users: Some(path),
            realm: Some("home2.net".to_owned()),
            ..Options::default()
        };
        let error = read(&options).unwrap_err().to_string();
        assert!(error.contains("line 2: expected NAME:PASSWORD"), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}
