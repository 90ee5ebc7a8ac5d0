//! Files to targets.

use super::*;
use crate::error::{Error, Result};
use crate::text::glob::Glob;
use serde_json::{Value, json};

fn evaluated(files: &[(&str, &str)], given: &[(&str, &str)]) -> Result<Definition> {
    // Each attribute has a line of its own.
    let lines = |text: &str| text.replace(";; ", "\n");
    let files: Result<Vec<File>> = files
        .iter()
        .map(|(name, text)| read(name, lines(text).as_bytes()))
        .collect();
    let given = |name: &str| {
        let found = given.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    evaluate(&files?, &given)
}

fn chosen(text: &str, names: &[&str], set: &[(&str, &str, &str)]) -> Result<Chosen> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let set: Vec<Override> = set
        .iter()
        .map(|(pattern, key, value)| Override {
            targets: Glob::parse(pattern).unwrap(),
            pattern: (*pattern).to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    choose(&evaluated(&[("b.hcl", text)], &[])?, &names, &set)
}

/// The only target.
fn target(text: &str) -> Value {
    let chosen = chosen(text, &[], &[]).unwrap();
    let [(_, target)] = &chosen.targets[..] else {
        panic!("{chosen:?}");
    };
    target.shown()
}

#[track_caller]
fn fails(text: &str, says: &str) {
    let error: Error = chosen(text, &[], &[]).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn attributes() {
    let text = r#"
        target "default" {
          context = "dir"
          dockerfile = "d.Dockerfile"
          args = { A = "1", N = 2, B = true, none = null }
          tags = ["a:1", "b"]
          platforms = ["linux/amd64"]
          no-cache = true
          pull = null
          cache-from = ["type=registry,ref=a", { type = "local", src = "d" }]
          secret = [{ id = "t", src = "f" }]
          extra-hosts = { h = "1.2.3.4" }
        }"#;
    let want = json!({"context": "dir", "dockerfile": "d.Dockerfile",
        "args": {"A": "1", "N": "2", "B": "true"}, "tags": ["a:1", "b"],
        "platforms": ["linux/amd64"], "no-cache": true,
        "cache-from": ["type=registry,ref=a", "type=local,src=d"],
        "secret": ["id=t,src=f"], "extra-hosts": {"h": "1.2.3.4"}});
    assert_eq!(target(text), want);
    let chosen = chosen(text, &[], &[]).unwrap();
    let options = chosen.targets[0].1.options();
    for option in [
        "--build-arg=A=1",
        "--build-arg=N=2",
        "--tag=a:1",
        "--tag=b",
        "--no-cache",
        "--add-host=h:1.2.3.4",
        "--secret=id=t,src=f",
    ] {
        assert!(options.iter().any(|o| o == option), "{options:?}");
    }
    assert!(!options.iter().any(|o| o == "--pull"));
    fails(
        "target \"default\" { contxt = \".\" }",
        "unknown attribute \"contxt\"",
    );
    fails(
        "target \"default\" { tags = \"a\" }",
        "tags: \"a\" is not a list",
    );
    fails("target \"default\" {;; x { };; }", "unknown block");
    fails("target \"a\" \"b\" { }", "a target block has one name");
    fails("service \"a\" { }", "unknown block");
    fails("target \"default\" {;; a = };; }", "b.hcl: line 2, column ");
    fails("function \"f\" { }", "function blocks are not supported");
    fails("target \"x\" { }", "failed to find target default");
    fails(
        &format!("a = {}1{}", "(".repeat(100), ")".repeat(100)),
        "brackets",
    );
}

#[test]
fn variables_need_each_other_in_any_order() {
    let text = r#"
        target "default" { tags = ["${REPO}/${lower(APP)}:${TAG}", DEV ? "dev" : "", join("-", LIST)] }
        variable "TAG" { default = "v${MAJOR + 1}" }
        variable "REPO" { default = base }
        base = "reg.example"
        variable "APP" { default = "APP" }
        variable "MAJOR" { default = 1 }
        variable "DEV" { default = false }
        variable "LIST" { default = ["a", "b"] }
        variable "UNSET" { description = "of no use" }
    "#;
    let tags = |given: &[(&str, &str)]| {
        let definition = evaluated(&[("b.hcl", text)], given)?;
        Ok::<_, Error>(definition.targets["default"].shown()["tags"].clone())
    };
    assert_eq!(tags(&[]).unwrap(), json!(["reg.example/app:v2", "", "a-b"]));
    let given = [
        ("MAJOR", "7"),
        ("DEV", "true"),
        ("APP", "X"),
        ("base", "no"),
    ];
    assert_eq!(
        tags(&given).unwrap(),
        json!(["reg.example/x:v8", "dev", "a-b"])
    );
    for bad in [("MAJOR", "x"), ("DEV", "x"), ("LIST", "x")] {
        let error = tags(&[bad]).unwrap_err();
        assert!(error.to_string().contains(bad.0), "{error}");
    }
    let variables = evaluated(&[("b.hcl", text)], &[]).unwrap().variables;
    let last = variables.last().unwrap();
    assert_eq!((last.name.as_str(), &last.value), ("UNSET", &Value::Null));
    assert_eq!(last.description, "of no use");
    let circle = "variable \"A\" { default = B }\nvariable \"B\" { default = A }";
    fails(circle, "need each other");
    fails("variable \"A\" { default = NO }", "undefined variable `NO`");
    fails("a = nope(1)", "undefined function `nope`");
    let valid = |n: u8| {
        format!(
            "variable \"N\" {{;; default = {n};; validation {{;; condition = N < 3;; error_message = \"N is ${{N}}\";; }};; }};; target \"default\" {{ }}"
        )
    };
    assert!(chosen(&valid(2), &[], &[]).is_ok());
    fails(&valid(3), "N is 3");
}

#[test]
fn functions_of_texts_lists_and_numbers() {
    let value = |text: &str| {
        let definition = evaluated(
            &[("b.hcl", &format!("variable \"V\" {{ default = {text} }}"))],
            &[],
        );
        definition.map(|d| d.variables[0].value.clone())
    };
    for (text, want) in [
        (r#"upper("aB")"#, json!("AB")),
        (r#"title("one two")"#, json!("One Two")),
        (r#"trim("--a-", "-")"#, json!("a")),
        (r#"trimprefix("v1", "v")"#, json!("1")),
        (r#"replace("a/b/c", "/", "-")"#, json!("a-b-c")),
        (
            r#"regex_replace("v1.2.3", "^v?([0-9]+).*", "$1")"#,
            json!("1"),
        ),
        (r#"split(",", "a,b")"#, json!(["a", "b"])),
        (r#"join(",", ["a"], ["b", 1])"#, json!("a,b,1")),
        (r#"format("%s-%d%%", "a", 2)"#, json!("a-2%")),
        (r#"substr("hello", 1, 3)"#, json!("ell")),
        (r#"substr("hello", -3, -1)"#, json!("llo")),
        (r#"substr("hello", 1, 99)"#, json!("ello")),
        (r#"concat(["a"], ["b"])"#, json!(["a", "b"])),
        (r#"contains(["a"], "a")"#, json!(true)),
        (r#"coalesce(null, "", "x")"#, json!("")),
        (r#"compact(["", "a"])"#, json!(["a"])),
        (r#"distinct(["a", "b", "a"])"#, json!(["a", "b"])),
        (r#"flatten([["a"], ["b", ["c"]]])"#, json!(["a", "b", "c"])),
        (r#"length(["a"])"#, json!(1)),
        (r#"lookup({a = "1"}, "b", "2")"#, json!("2")),
        (
            r#"merge({a = "1"}, {b = "2"})"#,
            json!({"a": "1", "b": "2"}),
        ),
        (r#"element(["a", "b"], 3)"#, json!("b")),
        (r#"slice(["a", "b", "c"], 1, 2)"#, json!(["b"])),
        (r#"sort(["b", "a"])"#, json!(["a", "b"])),
        ("range(3)", json!([0, 1, 2])),
        ("add(1, 2.5)", json!(3.5)),
        ("divide(4, 2)", json!(2)),
        ("max(1, 3, 2)", json!(3)),
        (r#"parseint("ff", 16)"#, json!(255)),
        (r#"and(true, not(false))"#, json!(true)),
        (r#"equal("a", "b")"#, json!(false)),
        (r#"jsonencode(["a"])"#, json!("[\"a\"]")),
        (r#"jsondecode("{\"a\": 1}")"#, json!({"a": 1})),
        (r#"base64decode(base64encode("ü"))"#, json!("ü")),
        (
            r#"sha256("")"#,
            json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ),
        (r#"urlencode("a b/ü")"#, json!("a+b%2F%C3%BC")),
        (r#"sanitize("a/b:1")"#, json!("a_b_1")),
        (r#"basename("/a/b/")"#, json!("b")),
        (r#"[for x in ["a", "b"] : upper(x)]"#, json!(["A", "B"])),
    ] {
        assert_eq!(value(text).unwrap(), want, "{text}");
    }
    for bad in [
        "upper(1)",
        "upper()",
        r#"upper("a", "b")"#,
        "divide(1, 0)",
        "range(0, 1e15)",
        "range(0, 9, 0)",
        r#"indent(99999999, "\n")"#,
        r#"element([], 0)"#,
        r#"slice(["a"], 1, 0)"#,
        r#"slice(["a"], 0, 9)"#,
        r#"substr("a", 9, 1)"#,
        r#"regex("(", "")"#,
        r#"format("%x", 1)"#,
        r#"format("%s")"#,
        r#"parseint("9", 1)"#,
        r#"base64decode("!")"#,
        r#"lookup({}, "a")"#,
    ] {
        assert!(value(bad).is_err(), "{bad}");
    }
}

#[test]
fn heirs_groups_and_overrides() {
    let text = r#"
        group "default" { targets = ["app", "all"] }
        group "all" { targets = ["app", "test", "default"] }
        target "_common" {;; args = { A = "1", B = "1" };; tags = ["common"];; cache-from = ["one"];; no-cache = true;; }
        target "_other" {;; args = { B = "2" };; cache-from = ["two", "one"];; }
        target "app" {;; inherits = ["_common", "_other"];; args = { C = "3" };; no-cache = false;; }
        target "test" {;; inherits = ["app"];; tags = ["test"];; contexts = { base = "target:base", here = "." };; labels = { of = "target:base" };; }
        target "base" { tags = ["base"] }
    "#;
    let plain = chosen(text, &[], &[]).unwrap();
    let names: Vec<&str> = plain
        .targets
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["app", "base", "test"]);
    assert_eq!(plain.unasked, ["base"]);
    assert_eq!(plain.groups["default"], ["app", "test"]);
    let app = json!({"context": ".", "dockerfile": "Dockerfile", "args": {"A": "1", "B": "2", "C": "3"},
        "tags": ["common"], "cache-from": ["one", "two"], "no-cache": false});
    assert_eq!(plain.targets[0].1.shown(), app);
    assert_eq!(plain.targets[2].1.shown()["tags"], json!(["test"]));
    assert_eq!(
        plain.targets[2].1.needs().collect::<Vec<_>>(),
        [("base", "base")]
    );
    let options = plain.targets[2].1.options();
    assert!(
        options.contains(&"--build-context=here=.".to_owned()),
        "{options:?}"
    );
    let is_of_context = |o: &String| o.starts_with("--build-context") && o.contains("target:");
    assert!(!options.iter().any(is_of_context), "{options:?}");
    // Elsewhere it is a text as any other.
    assert!(
        options.contains(&"--label=of=target:base".to_owned()),
        "{options:?}"
    );

    let set = [
        ("*", "platform", "linux/arm64"),
        ("*", "platform", "linux/amd64"),
        ("te*", "tags", "x"),
        ("app", "args.A", "9"),
        ("app", "no-cache", "true"),
    ];
    let other = chosen(text, &["app", "test"], &set).unwrap();
    assert_eq!(
        other.targets[0].1.shown()["platforms"],
        json!(["linux/arm64", "linux/amd64"])
    );
    assert_eq!(other.targets[0].1.shown()["args"]["A"], "9");
    assert_eq!(other.targets[0].1.shown()["no-cache"], true);
    assert_eq!(other.targets[2].1.shown()["tags"], json!(["x"]));
    for (bad, says) in [
        (
            ("none", "tags", "x"),
            "could not find any target matching 'none'",
        ),
        (("app", "nope", "x"), "unknown attribute"),
        (("app", "args", "x"), "args.KEY=VALUE"),
        (("app", "tags.x", "x"), "unknown key"),
        (("app", "pull", "x"), "true or false"),
    ] {
        let error = chosen(text, &[], &[bad]).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    fails(
        "target \"default\" { inherits = [\"default\"] }",
        "inherits from itself",
    );
    fails(
        "target \"default\" { contexts = { a = \"target:default\" } }",
        "made of itself",
    );
    fails(
        "target \"default\" { inherits = [\"no\"] }",
        "failed to find target no",
    );
    fails(
        "group \"default\" { targets = [\"no\"] }",
        "failed to find target no",
    );
    // As many ways as there are numbers: each target is looked at once.
    let many: String = (0..60)
        .map(|n| {
            let next = n + 1;
            format!("target \"t{n}\" {{ inherits = [\"t{next}\", \"t{next}\"] }}\ngroup \"g{n}\" {{ targets = [\"g{next}\", \"g{next}\"] }}\n")
        })
        .collect();
    let many = many + "target \"t60\" { }\ngroup \"g60\" { targets = [\"t0\"] }";
    assert_eq!(chosen(&many, &["g0"], &[]).unwrap().targets.len(), 1);
}

#[test]
fn a_matrix_makes_several() {
    let text = r#"
        target "app" {
          name = "app-${os}-${replace(v, ".", "-")}"
          matrix = { os = ["a", "b"], v = ["1.0", "2"] }
          args = { OS = os, V = v }
        }
        target "default" { contexts = { x = "target:app-a-2" } }
    "#;
    let all = chosen(text, &["app"], &[]).unwrap();
    let names: Vec<&str> = all.targets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["app-a-1-0", "app-a-2", "app-b-1-0", "app-b-2"]);
    assert_eq!(
        all.targets[2].1.shown()["args"],
        json!({"OS": "b", "V": "1.0"})
    );
    assert_eq!(all.groups["app"].len(), 4);
    assert_eq!(chosen(text, &[], &[]).unwrap().targets.len(), 2);
    fails("target \"a\" { matrix = { x = [\"1\"] } }", "needs a name");
    fails(
        "target \"a\" {;; name = \"n\";; matrix = { x = [\"1\", \"2\"] };; }",
        "two of its matrix",
    );
    let axis = format!("[{}]", "\"1\",".repeat(40));
    let large =
        format!("target \"a\" {{;; name = \"n\";; matrix = {{ x = {axis}, y = {axis} }};; }}");
    fails(&large, "combinations");
}

#[test]
fn files_add_to_each_other() {
    let json_form = r#"{
        "variable": {"TAG": {"default": "1"}},
        "group": {"default": {"targets": ["app"]}},
        "target": {"app": {"tags": ["a:${TAG}"], "args": {"N": "${1 + 1}", "list": null}}}
    }"#;
    let over = "target \"app\" { args = { M = TAG } }\nvariable \"TAG\" { default = \"2\" }";
    let definition = evaluated(&[("b.json", json_form), ("o.hcl", over)], &[]).unwrap();
    let app = definition.targets["app"].shown();
    assert_eq!(app["tags"], json!(["a:2"]));
    assert_eq!(app["args"], json!({"N": "2", "M": "2"}));
    for bad in [
        "[]",
        "{",
        r#"{"target": []}"#,
        r#"{"target": {"a": 1}}"#,
        r#"{"target": {"a": {"tags": ["${"]}}}"#,
    ] {
        assert!(evaluated(&[("b.json", bad)], &[]).is_err(), "{bad}");
    }
}
