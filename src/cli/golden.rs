//! Texts kept in tests/golden and compared byte by byte; `UPDATE=1` rewrites
//! them, and the difference is then read in review.

use std::path::Path;

/// Compares `got` with tests/golden/`name`.
pub fn check(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, got).unwrap();
        return;
    }
    let want = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; make it with UPDATE=1", path.display()));
    assert!(
        got == want,
        "{name} differs; UPDATE=1 rewrites it\n--- want\n{want}\n--- got\n{got}"
    );
}
