//! `config/popbox.toml` documents every key; these tests keep it true.

use toml::Table;

use super::*;

const DOCUMENTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/popbox.toml");

#[test]
fn the_documented_file_gives_the_defaults() {
    let sources = Sources {
        file: Some(DOCUMENTED.into()),
        ..Sources::default()
    };
    assert_eq!(Config::load(&sources), Ok(Config::default()));
}

/// So that the documentation cannot drift: every key stands in the file, with what is allowed in the comment
/// above it.
#[test]
fn the_documented_file_tells_of_every_key_what_is_allowed() {
    let text = std::fs::read_to_string(DOCUMENTED).unwrap();
    let table: Table = text.parse().unwrap();
    let mut reader = Reader::new(Settings::default(), Faults::default());
    Config::read(&mut reader);
    for (section, keys) in reader.sections() {
        let (_, rest) = text.split_once(&format!("\n[{section}]\n")).unwrap();
        let rest = rest.split("\n[").next().unwrap();
        for key in keys {
            let name = key.name;
            assert!(table[*section].get(name).is_some(), "{section}.{name}");
            let before = rest.split(&format!("\n{name} = ")).next().unwrap();
            let comment: Vec<_> = before
                .lines()
                .rev()
                .skip_while(|line| line.is_empty())
                .take_while(|line| line.starts_with('#'))
                .map(|line| line.trim_start_matches(['#', ' ']))
                .collect();
            let comment: Vec<_> = comment.into_iter().rev().collect();
            let comment = comment.join(" ").to_lowercase();
            let allowed = key.allowed.to_lowercase();
            assert!(comment.contains(&allowed), "{section}.{name}: {allowed}");
        }
    }
}
