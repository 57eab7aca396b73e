//! What the documents say is so in the source.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// `| what | bound | `file` `name` | outcome |` of the section Bounds.
fn bounds(document: &str) -> impl Iterator<Item = [&str; 3]> {
    let section = document.split("## Bounds").nth(1).expect("a section");
    section.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let mut code = cells.get(3)?.split('`').skip(1).step_by(2);
        Some([cells[2], code.next()?, code.next()?])
    })
}

/// A value as people write it: `16 MiB`, `30 s`, `200 ms`, `1,024`; times in milliseconds.
fn told(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = number.replace(',', "").parse().expect(text);
    number
        * match unit {
            "" | "ms" => 1,
            "s" => 1000,
            "KiB" => 1024,
            "MiB" => 1024 * 1024,
            _ => panic!("{text}: an unknown unit"),
        }
}

/// A value as the source has it: a product of numbers, or a time.
fn written(text: &str) -> u64 {
    let text = text.trim_end_matches([';', ',']);
    let times = [
        ("Duration::from_secs(", 1000),
        ("Duration::from_millis(", 1),
    ];
    let time = times
        .into_iter()
        .find_map(|(name, millis)| Some((text.strip_prefix(name)?, millis)));
    let (product, unit) = time.map_or((text, 1), |(rest, millis)| {
        (rest.trim_end_matches(')'), millis)
    });
    let factor = |part: &str| -> u64 {
        let part = part.trim().replace('_', "");
        match part.split_once("<<") {
            Some((base, by)) => {
                base.trim().parse::<u64>().expect(text) << by.trim().parse::<u32>().expect(text)
            }
            None => part.parse().expect(text),
        }
    };
    unit * product.split('*').map(factor).product::<u64>()
}

/// The value of a constant, or of a field in a default.
fn value_of(source: &str, name: &str) -> u64 {
    let constant = |line: &str| {
        let (before, value) = line.split_once(" = ")?;
        let before = before.split_once(": ")?.0;
        before
            .ends_with(&format!("const {name}"))
            .then(|| written(value))
    };
    let field = |line: &str| {
        let (before, value) = line.split_once(": ")?;
        let is_value = value.ends_with(',')
            && (value.starts_with(|c: char| c.is_ascii_digit()) || value.starts_with("Duration::"));
        (before == name && is_value).then(|| written(value))
    };
    let mut lines = source.lines().map(str::trim);
    lines
        .find_map(|line| constant(line).or_else(|| field(line)))
        .unwrap_or_else(|| panic!("{name} is not in the source"))
}

#[test]
fn the_bounds_that_operators_are_told_are_those_of_the_source() {
    let document = fs::read_to_string(root().join("docs/OPERATION.md")).unwrap();
    let mut rows = 0;
    for [bound, file, name] in bounds(&document) {
        let source = fs::read_to_string(root().join(file)).expect(file);
        assert_eq!(told(bound), value_of(&source, name), "{file} {name}");
        rows += 1;
    }
    assert!(rows > 30, "{rows} rows: is the table still one?");
}

/// Links between documents lead somewhere.
#[test]
fn links_of_documents_lead_to_files() {
    let mut documents = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        documents.push(entry.unwrap().path());
    }
    let mut links = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") || path.contains(' ') {
                continue;
            }
            links += 1;
            let found = document.parent().unwrap().join(path);
            assert!(found.exists(), "{}: {target}", document.display());
        }
    }
    assert!(links > 10, "{links} links");
}

/// Files that texts name in backquotes, of this repository.
#[test]
fn files_that_documents_name_exist() {
    let tops = [
        ".ci/", "benches/", "control/", "deploy/", "docs/", "engine/", "fuzz/", "h248/", "perf/",
        "tests/",
    ];
    let mut named = 0;
    for document in [
        "README.md",
        "docs/ARCHITECTURE.md",
        "docs/HACKING.md",
        "docs/OPERATION.md",
        "docs/STORAGE.md",
        "docs/PERFORMANCE.md",
        "docs/KERNEL_BYPASS.md",
        "docs/H248.md",
    ] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for code in text.split('`').skip(1).step_by(2) {
            let is_path = tops.iter().any(|top| code.starts_with(top))
                && !code.contains(|c: char| c.is_whitespace() || "*{}<>…:".contains(c))
                && !code.contains("DATE");
            if is_path {
                named += 1;
                assert!(root().join(code).exists(), "{document}: {code}");
            }
        }
    }
    assert!(named > 30, "{named} files");
}
