//! `system df` tells what du(1) tells.

use crate::support::Env;
use crate::support::env::run;
use serde_json::Value;
use std::path::Path;

/// Bytes on disk, also of files of other users.
fn du(path: &Path) -> u64 {
    let mut du = std::process::Command::new("unshare");
    du.args(["--user", "--map-root-user", "--map-auto", "du", "-s", "-B1"]);
    if crate::support::user::is_root() {
        du = std::process::Command::new("du");
        du.args(["-s", "-B1"]);
    }
    du.arg(path);
    let said = run(du, b"", 60).ok().text();
    said.split_whitespace().next().unwrap().parse().unwrap()
}

/// `1.982MB` in bytes.
fn bytes(size: &str) -> u64 {
    let end = size.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let factor = match &size[end..] {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        unit => panic!("{unit}"),
    };
    (size[..end].parse::<f64>().unwrap() * factor) as u64
}

fn rows(env: &Env) -> Vec<Value> {
    let shown = env.ok(["system", "df", "--format", "json"]);
    let lines = shown.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

#[track_caller]
fn assert_near(got: u64, want: u64) {
    assert!(
        got.abs_diff(want) * 100 <= want,
        "{got} is not about {want}"
    );
}

#[test]
fn nothing_is_a_table_of_nothing() {
    let env = Env::new();
    assert_eq!(
        env.ok(["system", "df"]),
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n\
         Images          0         0         0B        0B\n\
         Containers      0         0         0B        0B\n\
         Local Volumes   0         0         0B        0B\n\
         Build Cache     0         0         0B        0B"
    );
    assert_eq!(
        env.ok(["system", "df", "-v"]),
        "Images space usage:\n\n\
         REPOSITORY   TAG       IMAGE ID   CREATED   SIZE      SHARED SIZE   UNIQUE SIZE   CONTAINERS\n\n\
         Containers space usage:\n\n\
         CONTAINER ID   IMAGE     COMMAND   LOCAL VOLUMES   SIZE      CREATED   STATUS    NAMES\n\n\
         Local Volumes space usage:\n\n\
         VOLUME NAME   LINKS     SIZE\n\n\
         Build cache usage: 0B\n\n\
         CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED"
    );
    let all = env.wherry(["system", "df", "-v", "--format", "json"]).ok();
    assert_eq!(
        all.text(),
        r#"{"Images":[],"Containers":[],"Volumes":[],"BuildCache":[]}"#
    );
    env.wherry(["system", "df", "--format", "{{.Nope}}"])
        .status(1)
        .says("template parsing error");
}

#[test]
fn it_is_what_du_says() {
    let env = Env::busybox();
    env.ok(["tag", "busybox", "also"]);
    // Files of another user of the container, closed to everybody else.
    let fill = "mkdir /d && dd if=/dev/urandom of=/d/f bs=1k count=3000 2>&- && chmod 700 /d && chown -R 7:7 /d";
    env.ok([
        "run",
        "--network",
        "none",
        "--name",
        "full",
        "busybox",
        "sh",
        "-c",
        fill,
    ]);
    env.ok([
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "runs",
        "busybox",
        "sleep",
        "1000",
    ]);
    let data = env.path("data/wherry");
    let rows = rows(&env);
    let [images, containers, volumes, cache] = &rows[..] else {
        panic!("four rows");
    };
    let size = |row: &Value| bytes(row["Size"].as_str().unwrap());
    assert_near(size(images) + size(containers), du(&data));
    assert_near(size(containers), du(&data.join("containers")));
    for (row, kind, total, active) in [
        (images, "Images", "1", "1"),
        (containers, "Containers", "2", "1"),
        (volumes, "Local Volumes", "0", "0"),
        (cache, "Build Cache", "0", "0"),
    ] {
        assert_eq!(row["Type"], kind);
        assert_eq!(
            (&row["TotalCount"], &row["Active"]),
            (&total.into(), &active.into())
        );
    }
    assert_eq!(images["Reclaimable"], "0B (0%)");
    let reclaimable = containers["Reclaimable"].as_str().unwrap();
    let (freed, _) = reclaimable.split_once(' ').unwrap();
    let id = env.ok(["inspect", "-f", "{{.Id}}", "full"]);
    assert_near(bytes(freed), du(&data.join("containers").join(&id)));

    let all = env.ok(["system", "df", "-v", "--format", "json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let image = &all["Images"][0];
    assert_eq!(image["Repository"], "busybox");
    assert_eq!(
        (&image["Containers"], &image["SharedSize"]),
        (&"2".into(), &"0B".into())
    );
    let full = &all["Containers"][1];
    assert_eq!(
        (&full["Names"], &full["ID"]),
        (&"full".into(), &id.as_str().into())
    );
    let size_of_full = bytes(full["Size"].as_str().unwrap());
    assert!((3_072_000..3_600_000).contains(&size_of_full), "{full}");
    let table = env.ok(["system", "df", "-v"]);
    assert!(table.contains("\nbusybox      latest    "), "{table}");
    let format = "{{range .Containers}}{{.Names}}={{.LocalVolumes}} {{end}}";
    assert_eq!(
        env.wherry(["system", "df", "-v", "--format", format])
            .ok()
            .text(),
        "runs=0 full=0 "
    );

    // Without its containers the image is in the way.
    env.ok(["rm", "-f", "full", "runs"]);
    let rows = self::rows(&env);
    assert_eq!(rows[1]["Size"].as_str().map(bytes).unwrap() / 100_000, 0);
    let (freed, percent) = rows[0]["Reclaimable"]
        .as_str()
        .unwrap()
        .split_once(' ')
        .unwrap();
    let before = size(&rows[0]);
    assert!(percent.starts_with('(') && bytes(freed) < before && bytes(freed) > before / 3);
    let said = env.ok(["image", "prune", "-af"]);
    let (_, said) = said.rsplit_once(' ').unwrap();
    assert_eq!(said, freed);
    assert_near(
        size(&self::rows(&env)[0]),
        du(&data.join("images")) + du(&data.join("layers")),
    );
}
