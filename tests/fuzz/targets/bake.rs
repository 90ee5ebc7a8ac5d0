//! Files of `buildx bake`. The first byte says which of the two forms.

use wherry::build::bake::{self, Target};

pub const WORDS: &[&str] = &[
    "target \"a\" {\n",
    "group \"default\" {\n",
    "variable \"V\" {\n",
    "validation {\n",
    "}\n",
    "inherits = [\"a\"]\n",
    "contexts = { b = \"target:a\" }\n",
    "matrix = { x = [1, 2] }\n",
    "name = \"n-${x}\"\n",
    "default = ",
    "targets = [\"a\", \"b\"]\n",
    "args = { A = V }\n",
    "\"${",
    "%{ if ",
    "%{ endif }",
    "}\"",
    "[for x in ",
    " : x]",
    "V",
    "1e308",
    "9223372036854775807",
    "-1",
    "null",
    "true ? 1 : 2",
    "== != < > && || + - * / %",
    "upper(",
    "join(\",\", ",
    "range(",
    "substr(",
    "slice(",
    "regex_replace(",
    "format(\"%s%d\", ",
    "element(",
    "pow(",
    "parseint(",
    "jsondecode(",
    "<<E\n",
    "E\n",
    "{\"target\": {\"a\": ",
    "{\"variable\": {\"V\": {\"default\": ",
    "...",
    "[*]",
    "[0]",
    ".a",
];

/// What is chosen has all that it needs before it, and is written and read again
/// as the same.
pub fn bake(data: &[u8]) {
    let Some((form, text)) = data.split_first() else {
        return;
    };
    let name = if form % 2 == 0 { "f.hcl" } else { "f.json" };
    let Ok(file) = bake::read(name, text) else {
        return;
    };
    let given = |name: &str| (name == "V").then(|| "1".to_owned());
    let Ok(definition) = bake::evaluate(&[file], &given) else {
        return;
    };
    let names: Vec<String> = definition.targets.keys().cloned().collect();
    let Ok(chosen) = bake::choose(&definition, &names, &[]) else {
        return;
    };
    for (at, (_, target)) in chosen.targets.iter().enumerate() {
        let mut needs = target.needs();
        let is_before = |name: &str| chosen.targets[..at].iter().any(|(n, _)| n == name);
        assert!(needs.all(|(_, name)| is_before(name)));
        let mut again = Target::default();
        for (key, value) in target.shown().as_object().unwrap() {
            again.set(key, value).unwrap();
        }
        assert_eq!(again.shown(), target.shown());
    }
}
