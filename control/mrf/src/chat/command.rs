//! What is typed: a text to send, or a command.

/// What `/help` says.
pub(super) const HELP: &str = "\
    /quit            leaves, as end of input and ^C do\n\
    /who             tells who is here\n\
    /file PATH       sends a file\n\
    /msg NAME TEXT   sends a text to one alone (chat rooms)\n\
    /nick NAME       asks to be known by a nickname; alone it gives it back (chat rooms)\n\
    //TEXT           sends a text that begins with /\n";

/// A line, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed<'a> {
    Nothing,
    Text(&'a str),
    Private { name: &'a str, text: &'a str },
    Nickname(&'a str),
    File(&'a str),
    Who,
    Help,
    Quit,
}

/// Understands a line without its end, or says why not.
pub(super) fn read(line: &str) -> Result<Typed<'_>, String> {
    let Some(command) = line.strip_prefix('/') else {
        return Ok(match line {
            "" => Typed::Nothing,
            text => Typed::Text(text),
        });
    };
    if command.starts_with('/') {
        return Ok(Typed::Text(command));
    }
    let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
    let rest = rest.trim_start();
    match (word, rest) {
        ("quit", "") => Ok(Typed::Quit),
        ("who", "") => Ok(Typed::Who),
        ("help", "") => Ok(Typed::Help),
        ("nick", name) => Ok(Typed::Nickname(name)),
        ("file", path) if !path.is_empty() => Ok(Typed::File(path)),
        ("msg", rest) => match name_and_text(rest) {
            Some((name, text)) => Ok(Typed::Private { name, text }),
            None => Err("expected /msg NAME TEXT, a NAME with blanks in quotes".to_owned()),
        },
        ("file", _) => Err("expected /file PATH".to_owned()),
        _ => Err(format!(
            "unknown command {line}; /help tells which there are"
        )),
    }
}

/// `NAME TEXT` or `"NAME" TEXT`, neither empty.
fn name_and_text(rest: &str) -> Option<(&str, &str)> {
    let (name, text) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => rest.split_once(' ')?,
    };
    let text = text.trim_start();
    (!name.is_empty() && !text.is_empty()).then_some((name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_commands() {
        let private = Typed::Private {
            name: "bob",
            text: "how are you",
        };
        for (line, typed) in [
            ("", Typed::Nothing),
            ("hello / all", Typed::Text("hello / all")),
            ("//usr/bin", Typed::Text("/usr/bin")),
            ("/quit", Typed::Quit),
            ("/who", Typed::Who),
            ("/help", Typed::Help),
            ("/nick The Great", Typed::Nickname("The Great")),
            ("/nick", Typed::Nickname("")),
            ("/file  a b.png", Typed::File("a b.png")),
            ("/msg bob how are you", private),
            ("/msg \"bob\" how are you", private),
        ] {
            assert_eq!(read(line), Ok(typed), "{line}");
        }
        for (line, words) in [
            ("/msg bob", "/msg NAME TEXT"),
            ("/msg bob ", "/msg NAME TEXT"),
            ("/msg \"bob hello", "/msg NAME TEXT"),
            ("/file", "/file PATH"),
            ("/quit now", "unknown command"),
            ("/usr/bin", "unknown command"),
        ] {
            assert!(read(line).unwrap_err().contains(words), "{line}");
        }
    }
}
