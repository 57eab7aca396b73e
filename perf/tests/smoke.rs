//! The comparison runs and writes its record; its figures do not matter here.

use std::process::Command;

#[test]
fn a_quick_comparison_writes_a_record_with_pictures() {
    let folder = std::env::temp_dir().join(format!("mrf-compare-smoke-{}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["--quick", "--reactors", "mio,uring", "--scenarios"])
        .args(["pair-small,ten,tls,one,many,all-read,stalled,file", "--out"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    let page = std::fs::read_to_string(page.trim()).unwrap();
    for words in [
        "## Targets",
        "`stalled`",
        "| `tls`: ",
        "MB more",
        "## Reactors",
        "octets per session",
        "| `ten` | uring |",
        // Of what was not measured no figure is told, but why there is none.
        "| deliveries/s | at least 5 | – | – | not measured: `--peers kamailio` measures it |",
    ] {
        assert!(page.contains(words), "{words} is missing in\n{page}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    assert!(!page.contains("runs with faults"), "{page}");
    let names = page
        .lines()
        .filter_map(|line| line.split_once("](")?.1.strip_suffix(')'));
    let mut pictures = 0;
    for name in names {
        let picture = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(picture.contains("</svg>"), "{name}");
        pictures += 1;
    }
    assert_eq!(pictures, 5);
    std::fs::remove_dir_all(&folder).unwrap();
}
