//! `--progress rawjson`: one JSON object a line, as BuildKit's status messages.

use crate::build::progress::{Id, Outcome, Progress, Vertex};
use crate::image::Digest;
use crate::text::time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;

pub struct Json<W> {
    out: W,
    /// Name and beginning.
    began: HashMap<Id, (String, String)>,
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            began: HashMap::new(),
        }
    }

    fn write(&mut self, value: &Value) {
        let _ = self
            .out
            .write_all(format!("{value}\n").as_bytes())
            .and_then(|()| self.out.flush());
    }
}

fn digest(id: Id) -> String {
    Digest::of(format!("{}.{}", id.0, id.1).as_bytes()).to_string()
}

impl<W: Write> Progress for Json<W> {
    fn begin(&mut self, vertex: &Vertex) {
        if self.began.contains_key(&vertex.id) {
            return;
        }
        let now = time::now();
        self.write(&json!({"vertexes": [{"digest": digest(vertex.id), "name": vertex.name, "started": now}]}));
        self.began.insert(vertex.id, (vertex.name.clone(), now));
    }

    fn log(&mut self, id: Id, bytes: &[u8]) {
        let data = STANDARD.encode(bytes);
        self.write(&json!({"logs": [{"vertex": digest(id), "stream": 1, "data": data, "timestamp": time::now()}]}));
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        let Some((name, began)) = self.began.get(&id).cloned() else {
            return;
        };
        let mut vertex =
            json!({"digest": digest(id), "name": name, "started": began, "completed": time::now()});
        match outcome {
            Outcome::Done => {}
            Outcome::Cached => vertex["cached"] = json!(true),
            Outcome::Failed(why) => vertex["error"] = json!(why),
        }
        self.write(&json!({"vertexes": [vertex]}));
    }
}
