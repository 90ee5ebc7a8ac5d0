//! Expected texts are those of Docker's own client (28.2.2) for the same data,
//! except where a comment says otherwise.

use super::*;
use serde_json::json;

fn document() -> Value {
    json!({
        "Id": "0123", "Args": ["-c", "x y"], "Name": "/web", "Created": "2023-11-14T22:13:20.5Z",
        "State": {"Status": "running", "Running": true, "Paused": false, "Pid": 42, "ExitCode": 0},
        "ExecIDs": null,
        "HostConfig": {
            "Binds": ["/a:/b"], "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "CapAdd": null, "PidsLimit": null, "LogConfig": {"Type": "json-file", "Config": {"max-size": "5m"}},
            "Memory": 67108864
        },
        "Mounts": [{"Type": "bind", "Name": "", "Source": "/a", "Destination": "/b", "Driver": "", "Mode": "", "RW": true, "Propagation": "rprivate"}],
        "Config": {
            "Env": ["A=<1>&", "B=2"], "Cmd": ["sh"], "Volumes": null, "Entrypoint": null,
            "Labels": {"c": "2", "a.b": "1"}, "ExposedPorts": {"80/tcp": {}}
        },
        "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}], "443/tcp": null},
            "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}
        }
    })
}

/// A row of `ps` as the document: texts only, one method.
struct Row;

impl Object for Row {
    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "ID" => "0123456789ab".into(),
            "Names" => "web".into(),
            "State" => "running".into(),
            "Labels" => "a.b-c_d=x<y,k=v".into(),
            "Platform" => Value::Null,
            _ => return None,
        })
    }
    fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
        (name == "Label").then(|| match args {
            [Value::String(key)] if key == "a.b-c_d" => Ok("x<y".into()),
            [_] => Ok("".into()),
            args => Err(format!(
                "wrong number of args for Label: want 1 got {}",
                args.len()
            )),
        })
    }
    fn whole(&self) -> Value {
        json!({"ID": "0123456789ab", "Labels": "a.b-c_d=x<y,k=v"})
    }
    fn unknown(&self, name: &str) -> String {
        format!("can't evaluate field {name} in type *formatter.ContainerContext")
    }
    fn escapes_json(&self) -> bool {
        true
    }
}

fn run(template: &str, object: &dyn Object) -> String {
    match Template::parse(template).and_then(|t| t.render(object)) {
        Ok(text) => text,
        Err(e) => format!("ERROR {}", e.message()),
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a flat table")]
fn documents() {
    let document = document();
    for (template, want) in [
        (
            "{{.Id}} {{.Name}} {{.State.Running}} {{.State.Pid}}",
            "0123 /web true 42",
        ),
        (
            "{{.Config.Env}} {{.Args}} {{.Config.Cmd}}",
            "[A=<1>& B=2] [-c x y] [sh]",
        ),
        ("{{json .Config.Env}}", "[\"A=<1>&\",\"B=2\"]"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=<1>&\nB=2\n"),
        (
            "{{index .Config.Env 1}} {{index .Config.Labels \"a.b\"}} {{index .Config.Labels \"nope\"}}|{{.Config.Labels.c}} {{.Config.Labels.nope}}",
            "B=2 1 |2 <no value>",
        ),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}",
            "a.b=1 c=2 ",
        ),
        (
            "{{.NetworkSettings.Ports}} {{.HostConfig.PortBindings}}",
            "map[443/tcp:[] 80/tcp:[{0.0.0.0 8080} {:: 8080}]] map[80/tcp:[{ 8080}]]",
        ),
        (
            "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}",
            "8080",
        ),
        (
            "{{range $p, $c := .NetworkSettings.Ports}}{{$p}} -> {{if $c}}{{(index $c 0).HostPort}}{{else}}-{{end}};{{end}}",
            "443/tcp -> -;80/tcp -> 8080;",
        ),
        (
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            "172.17.0.2",
        ),
        (
            "{{.NetworkSettings.Networks.bridge.IPAddress}}",
            "172.17.0.2",
        ),
        (
            "{{with index .NetworkSettings.Networks \"bridge\"}}{{.IPAddress}}{{end}}",
            "172.17.0.2",
        ),
        (
            "{{.HostConfig.CapAdd}} {{.HostConfig.PidsLimit}} {{.Config.Volumes}} {{.Config.Entrypoint}} {{.Config.ExposedPorts}} {{.HostConfig.LogConfig.Config}} {{.ExecIDs}}",
            "[] <nil> map[] [] map[80/tcp:{}] map[max-size:5m] []",
        ),
        ("{{.Mounts}}", "[{bind  /a /b   true rprivate}]"),
        (
            "{{range .Mounts}}{{.Source}}:{{.Destination}}{{end}}",
            "/a:/b",
        ),
        ("{{if .State.Health}}h{{else}}none{{end}}", "none"),
        ("{{len .Mounts}} {{len .Config.Labels}}", "1 2"),
        (
            "{{eq .State.ExitCode 0}} {{gt .HostConfig.Memory 5}} {{.HostConfig.Memory}}",
            "true true 67108864",
        ),
        ("{{.Name | printf \"%.2s\"}} {{slice .Name 1}}", "/w web"),
        (
            "{{split .Name \"/\"}} {{join .Args \",\"}} {{title \"a b\"}}",
            "[ web] -c,x y A B",
        ),
        ("{{.Config.Labels}}", "map[a.b:1 c:2]"),
        (
            "{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}",
            "A=<1>&,B=2",
        ),
        (
            "{{printf \"%v %q %d\" .Args .Args .State.Pid}}",
            "[-c x y] [\"-c\" \"x y\"] 42",
        ),
        (
            "{{$.Name}} {{with .State}}{{$.Name}}{{.Status}}{{end}}",
            "/web /webrunning",
        ),
        ("{{index .NetworkSettings.Ports \"nope\"}}", "<no value>"),
        (
            "{{range .Args}}{{if eq . \"-c\"}}{{continue}}{{end}}{{.}}{{break}}{{end}}",
            "x y",
        ),
        (
            "{{if and .State.Running (not .State.Paused)}}up{{end}}",
            "up",
        ),
        ("{{\"x\" | upper | printf \"%s-%s\" \"a\"}}", "a-X"),
        (
            "{{.Nope}}",
            "ERROR template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "{{.State.Nope}}",
            "ERROR template: :1:8: executing \"\" at <.State.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "{{index .Config.Env 7}}",
            "ERROR template: :1:2: executing \"\" at <index .Config.Env 7>: error calling index: index out of range: 7",
        ),
        // Docker: "in type interface {}".
        (
            "{{.Id.X}}",
            "ERROR template: :1:5: executing \"\" at <.Id.X>: can't evaluate field X in type string",
        ),
    ] {
        assert_eq!(run(template, &document), want, "{template}");
    }
}

#[test]
fn rows() {
    for (template, want) in [
        ("{{.Label \"a.b-c_d\"}}|{{.Label \"nope\"}}|", "x<y||"),
        (
            "{{json .}}",
            "{\"ID\":\"0123456789ab\",\"Labels\":\"a.b-c_d=x\\u003cy,k=v\"}",
        ),
        ("{{json .Labels}}", "\"a.b-c_d=x<y,k=v\""),
        ("{{len .ID}}", "12"),
        (
            "{{printf \"%s-%q-%v-%5d|%-6s|%x\" .ID .Names 3 4 \"ab\" \"hi\"}}",
            "0123456789ab-\"web\"-3-    4|ab    |6869",
        ),
        ("{{$x := .ID}}{{$x}}", "0123456789ab"),
        (
            "{{range $i, $e := split .Labels \",\"}}{{$i}}={{$e}};{{end}}",
            "0=a.b-c_d=x<y;1=k=v;",
        ),
        (
            "{{range split .Labels \",\"}}{{.}};{{else}}none{{end}}",
            "a.b-c_d=x<y;k=v;",
        ),
        ("{{with .Names}}{{.}}{{end}}", "web"),
        ("{{- .ID -}} x", "0123456789abx"),
        ("a {{- /* c */ -}} b", "ab"),
        ("{{/* c */}}a", "a"),
        ("{{\"a\\tb\\x41\\u00e4\\101\"}}", "a\tbAäA"),
        ("{{`raw\\n`}}", "raw\\n"),
        (
            "{{upper .Names}} {{title .Names}} {{pad .Names 2 3}}|{{truncate .ID 4}}",
            "WEB Web   web   |0123",
        ),
        ("{{join (split .ID \"4\") \"/\"}}", "0123/56789ab"),
        (
            "{{eq .State \"running\"}} {{ne 1 2}} {{lt 1 2}} {{and 1 0}} {{or 0 \"x\"}} {{not true}}",
            "true true true 0 x false",
        ),
        ("{{print 1 2 \"a\" \"b\" 3}}", "1 2ab3"),
        ("{{println \"a\" 1}}", "a 1\n"),
        (
            "{{html \"<a>\"}} {{js \"a'b\"}} {{urlquery \"a b\"}}",
            "&lt;a&gt; a\\'b a+b",
        ),
        ("{{.Platform}}", "<nil>"),
        ("{{.ID}}}}", "0123456789ab}}"),
        ("{{ .ID | printf \"%s\" | len }}", "12"),
        (
            "{{if eq .State \"x\" \"running\"}}y{{else if true}}n{{end}}",
            "y",
        ),
        ("{{if false}}y{{else if true}}n{{else}}z{{end}}", "n"),
        (
            "{{printf \"%d\" \"a\"}} {{printf \"%s\" 1}} {{printf \"%d\"}} {{printf \"a\" 1}} {{printf \"%5.2f\" 1.234}} {{printf \"%t\" true}} {{printf \"%%\"}} {{printf \"%z\" 1}}",
            "%!d(string=a) %!s(int=1) %!d(MISSING) a%!(EXTRA int=1)  1.23 true % %!z(int=1)",
        ),
        (
            "{{'a'}} {{0x10}} {{1.5}} {{-3}} {{1e3}}",
            "97 16 1.5 -3 1000",
        ),
        ("{{print nil}}", "<nil>"),
        ("{{(.ID)}}", "0123456789ab"),
        ("{{and .ID .Names}}", "web"),
        (
            "{{$x := 1}}{{range split \"a b\" \" \"}}{{$x = .}}{{end}}{{$x}}",
            "b",
        ),
        (
            "{{.Nope}}",
            "ERROR template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext",
        ),
        (
            "{{.Label}}",
            "ERROR template: :1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 0",
        ),
        (
            "{{.ID.X}}",
            "ERROR template: :1:5: executing \"\" at <.ID.X>: can't evaluate field X in type string",
        ),
        (
            "{{index .Labels \"a\"}}",
            "ERROR template: :1:2: executing \"\" at <index .Labels \"a\">: error calling index: cannot index slice/array with type string",
        ),
        (
            "{{nil}}",
            "ERROR template: :1:2: executing \"\" at <nil>: nil is not a command",
        ),
        (
            "{{eq 1 \"a\"}}",
            "ERROR template: :1:2: executing \"\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison",
        ),
        (
            "{{not 1 2}}",
            "ERROR template: :1:2: executing \"\" at <not>: wrong number of args for not: want 1 got 2",
        ),
        (
            "{{or}}",
            "ERROR template: :1:2: executing \"\" at <or>: wrong number of args for or: want at least 1 got 0",
        ),
    ] {
        assert_eq!(run(template, &Row), want, "{template}");
    }
}

#[test]
fn what_cannot_be_parsed() {
    for (template, want) in [
        ("{{.ID", "unclosed action"),
        ("{{.ID}} {{", "unclosed action"),
        ("{{", "unclosed action"),
        ("{{if}}", "missing value for if"),
        ("{{range}}{{end}}", "missing value for range"),
        ("{{}}", "missing value for command"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{if .ID}}", "unexpected EOF"),
        ("{{if .ID}}{{else}}", "unexpected EOF"),
        (
            "{{if .ID}}{{else}}{{else}}{{end}}",
            "expected end; found {{else}}",
        ),
        ("{{nofunc .ID}}", "function \"nofunc\" not defined"),
        ("{{$y}}", "undefined variable \"$y\""),
        (
            "{{if true}}{{$x := 1}}{{end}}{{$x}}",
            "undefined variable \"$x\"",
        ),
        ("{{\"unterminated}}", "unterminated quoted string"),
        ("{{`unterminated}}", "unterminated raw quoted string"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{1 | 2}}", "non executable command in pipeline stage 2"),
        ("{{(.Id}}", "unclosed left paren"),
        ("{{.Id)}}", "unexpected right paren"),
        ("{{.Id | }}", "missing value for command"),
        ("{{1x}}", "bad number syntax: \"1x\""),
        ("{{/* x}}", "unclosed comment"),
        ("{{/* x */ y}}", "comment ends before closing delimiter"),
        ("{{template \"x\"}}", "{{template}} is not supported"),
        ("{{#}}", "unexpected '#' in command"),
        ("{{\"\\q\"}}", "invalid syntax in a quoted string"),
        ("{{'ab'}}", "malformed character constant"),
    ] {
        let error = Template::parse(template).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Template, "{template}");
        assert_eq!(
            error.message(),
            format!("template: :1: {want}"),
            "{template}"
        );
    }
    let error = Template::parse("a\n{{x}}").unwrap_err();
    assert_eq!(error.message(), "template: :2: function \"x\" not defined");
}

#[test]
fn hostile_templates_are_bounded() {
    let deep = "{{if true}}".repeat(5000) + &"{{end}}".repeat(5000);
    assert!(
        Template::parse(&deep)
            .unwrap_err()
            .message()
            .contains("nested more than 64 deep")
    );
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(
        Template::parse(&parens)
            .unwrap_err()
            .message()
            .contains("nested more than 64 deep")
    );
    assert!(run("{{pad \"x\" 999999999 1}}", &Row).contains("is too large"));
    assert!(run("{{printf \"%999999999999d\" 1}}", &Row).len() <= 1_000_000);
    let bomb = "{{range 1000}}{{range 1000}}{{range 1000}}{{range 1000}}aaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{end}}{{end}}{{end}}{{end}}";
    assert!(run(bomb, &Row).contains("larger than 64 MiB"));
    for text in [
        "{{.",
        "{{..}}",
        "{{$",
        "{{\"\\",
        "{{\"\\x",
        "{{'",
        "{{'\\",
        "{{-",
        "{{- ",
        "{{ -}}",
        "{{.ID -",
        "ä{{ä}}",
        "{{.ä}}",
        "{{:}}",
        "{{\u{0}}}",
    ] {
        // Whatever it is, it is an answer.
        let _ = run(text, &Row);
    }
}

#[test]
fn uses() {
    let uses = |text: &str| Template::parse(text).unwrap().uses("Size");
    assert!(uses("{{.ID}} {{.Size}}") && uses("{{json .Size}}"));
    assert!(!uses("{{.SizeRw}}") && !uses("Size"));
}

proptest::proptest! {
    #[test]
    fn no_template_panics(text in "(\\{\\{|\\}\\}|[-.$|()\"`'\\\\ a-z0-9:=,\u{e4}]|if |range |end|else|printf |index ){0,40}") {
        let _ = run(&text, &Row);
    }
}
