//! `inspect` on records.

use super::records::{Records, ago};
use super::{golden, session};
use crate::support::Env;
use wherry::record::container::{MountPoint, PortBinding, Status};

#[test]
fn the_document_has_dockers_shape() {
    let env = Env::new();
    let records = Records::new(&env);
    records.add(0xa1, "web", 60, |container, state| {
        container.created = "2026-01-02T03:04:05.000000006Z".into();
        container.layers = vec![
            format!("sha256:{}", "11".repeat(32)),
            format!("sha256:{}", "22".repeat(32)),
        ];
        container.config.env = vec!["A=<1>&".into()];
        container
            .config
            .exposed_ports
            .insert("443/tcp".into(), serde_json::Map::new());
        container.host_config.binds = Some(vec!["/a:/b:ro".into()]);
        container.mounts = vec![MountPoint {
            source: "/a".into(),
            destination: "/b".into(),
            mode: "ro".into(),
            propagation: "rprivate".into(),
            ..MountPoint::default()
        }];
        records.running(state, 0);
        state.started_at = "2026-01-02T03:04:06.000000007Z".into();
        let binding = PortBinding {
            host_ip: "0.0.0.0".into(),
            host_port: "8080".into(),
        };
        state.ports.insert("80/tcp".into(), vec![binding]);
    });
    let pid = env.ok(["inspect", "-f", "{{.State.Pid}}", "web"]);
    let text = env.ok(["inspect", "web"]);
    let text = text
        .replace(&format!("\"Pid\": {pid}"), "\"Pid\": PID")
        .replace(&format!("/proc/{pid}/"), "/proc/PID/")
        .replace(env.root().to_str().unwrap(), "ROOT")
        .replace(env.run_dir().to_str().unwrap(), "RUN");
    golden("inspect.json", &(text + "\n"));
}

#[test]
fn forms() {
    let env = Env::new();
    let records = Records::new(&env);
    records.add(0xa1, "web", 60, |container, state| {
        container.config.labels.insert("k".into(), "v".into());
        state.status = Status::Exited;
        state.exit_code = 3;
        state.finished_at = ago(5);
    });
    records.add(0xa2, "db", 60, |_, _| {});
    records.add(0xb1, "other", 60, |_, _| {});
    let text = session(
        &env,
        &[
            "inspect -f '{{.Id}} {{.ID}} {{.Name}} {{.State.Status}} {{.State.ExitCode}}' web",
            "inspect -f '{{.Name}}' web nope db",
            "container inspect -f '{{.Config.Labels}} {{.HostConfig.PortBindings}} {{.Config.Entrypoint}} {{.NetworkSettings.Ports}}' web",
            "inspect -f '{{json .Config.Labels}} {{.Config.Labels.nope}} {{index .Config.Labels \"nope\"}}|' web",
            "inspect -f '{{.Nope}}' web",
            "inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' web",
            "inspect --type container -f '{{.Name}}' b1",
            "inspect --type image -f '{{.Id}}' web",
            "inspect a",
            "inspect -f '{{.Name}}' nope",
            "inspect nope nope2",
            "inspect -f json nope",
        ],
    );
    golden("inspect.txt", &text);
}

#[test]
fn a_lost_monitor_is_told() {
    let env = Env::new();
    let records = Records::new(&env);
    records.add(0xa1, "web", 60, |_, state| {
        records.running(state, 60);
        state.monitor.as_mut().unwrap().start_time -= 1;
    });
    let text = env.ok([
        "inspect",
        "-f",
        "{{.State.Running}} {{.State.MonitorLost}}",
        "web",
    ]);
    assert_eq!(text, "true true");
}
