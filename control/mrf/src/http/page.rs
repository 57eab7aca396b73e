//! The status page: one plain HTML document, no script.

use core::fmt::Write;

use mrfc::ConferenceStatus;

use crate::live::Counters;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;\
    padding:0 1rem;color:#222;background:#fff}table{border-collapse:collapse}\
    td,th{padding:.2rem .8rem .2rem 0;text-align:left}code{font-size:.9em}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#111}a{color:#8bf}}";

/// What the page says of conferences.
#[derive(Clone, Copy, Debug)]
pub(super) enum Conferences<'a> {
    /// There is no MRFC.
    None,
    /// How many there are: who may not use the API learns no names.
    Counted(usize),
    Shown(&'a [ConferenceStatus]),
}

/// The page. Writing to a string cannot fail, so results are dropped.
pub(super) fn html(
    facts: &str,
    obstacle: Option<&str>,
    conferences: Conferences<'_>,
    counters: &Counters,
) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>mrf</title>\
         <meta http-equiv=refresh content=5><style>{STYLE}</style><h1>mrf {}</h1>\n",
        env!("CARGO_PKG_VERSION")
    );
    let state = obstacle.map_or("ready".to_owned(), |why| {
        format!("not ready: {}", escape(why))
    });
    let _ = writeln!(page, "<p><b>{state}</b><p><code>{}</code>", escape(facts));
    if let Some(m) = &counters.mrfp {
        let _ = writeln!(
            page,
            "<h2>Media plane</h2><p>{} contexts, {} terminations, {} H.248 requests",
            m.contexts, m.terminations, m.requests
        );
    }
    match conferences {
        Conferences::None => {}
        Conferences::Counted(count) => {
            let _ = writeln!(
                page,
                "<h2>Conferences: {count}</h2><p>Names need the token."
            );
        }
        Conferences::Shown(conferences) => write_conferences(&mut page, conferences),
    }
    page.push_str(
        "<p><a href=/metrics>metrics</a> · <a href=/api/v1/conferences>conferences (JSON)</a> · \
         <a href=/healthz>healthz</a> · <a href=/readyz>readyz</a></html>\n",
    );
    page
}

fn write_conferences(page: &mut String, conferences: &[ConferenceStatus]) {
    let _ = writeln!(page, "<h2>Conferences: {}</h2>", conferences.len());
    if conferences.is_empty() {
        return;
    }
    page.push_str("<table><tr><th>name<th>context<th>participants\n");
    for conference in conferences {
        let uris: Vec<_> = conference
            .participants
            .iter()
            .map(|participant| escape(&participant.uri))
            .collect();
        let context = conference
            .context
            .map_or(String::new(), |id| id.to_string());
        let name = escape(&conference.name);
        let _ = writeln!(page, "<tr><td>{name}<td>{context}<td>{}", uris.join("<br>"));
    }
    page.push_str("</table>\n");
}

/// Names and addresses come from strangers.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_is_escaped() {
        let conference = ConferenceStatus {
            name: "<script>&\"".to_owned(),
            context: Some(1),
            ..ConferenceStatus::default()
        };
        let page = html(
            "a=<b>",
            Some("x<y"),
            Conferences::Shown(&[conference]),
            &Counters::default(),
        );
        assert!(page.contains("&lt;script&gt;&amp;&quot;"), "{page}");
        assert!(page.contains("not ready: x&lt;y"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn a_media_plane_alone_shows_no_conferences() {
        let page = html("", None, Conferences::None, &Counters::default());
        assert!(
            page.contains("<b>ready</b>") && !page.contains("<h2>Conferences"),
            "{page}"
        );
    }
}
