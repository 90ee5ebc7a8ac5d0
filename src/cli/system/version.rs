//! `wherry version`. Nothing is asked: client and engine are one program.

use crate::cli::{Front, Verb, stdout};
use crate::error::{Context, Result};
use crate::output::table::{VERSION, align};
use crate::output::template::{Object, Template};
use crate::text::escape::visible;
use serde_json::{Value, json};

/// The version of Docker's Engine API that documents and messages follow.
pub const API: &str = "1.50";

#[derive(clap::Args)]
pub struct VersionArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
}

impl Verb for VersionArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let facts = facts()?;
        let text = match self.format.as_deref().unwrap_or_default() {
            "" => table(&facts),
            "json" => format!("{facts}\n"),
            text => {
                let template =
                    Template::parse(text).map_err(|e| e.within("template parsing error"))?;
                let text = template
                    .render(&Facts(facts))
                    .map_err(|e| e.within("template parsing error"))?;
                text + "\n"
            }
        };
        stdout::print(&visible(&text))?;
        Ok(0)
    }
}

fn facts() -> Result<Value> {
    let kernel = nix::sys::utsname::uname().context(|| "cannot ask for the kernel's version")?;
    let version = env!("CARGO_PKG_VERSION");
    let os = std::env::consts::OS;
    let arch = crate::image::platform::Platform::host().architecture;
    Ok(json!({
        "Client": {
            "Version": version,
            "ApiVersion": API,
            "DefaultAPIVersion": API,
            "Os": os,
            "Arch": arch,
            "Context": "default",
        },
        "Server": {
            "Platform": {"Name": "wherry (no daemon)"},
            "Components": [{"Name": "Engine", "Version": version, "Details": {
                "ApiVersion": API,
                "Arch": arch,
                "KernelVersion": kernel.release().to_string_lossy(),
                "Os": os,
            }}],
            "Version": version,
            "ApiVersion": API,
            "MinAPIVersion": API,
            "Os": os,
            "Arch": arch,
            "KernelVersion": kernel.release().to_string_lossy(),
        },
    }))
}

fn table(facts: &Value) -> String {
    let text =
        |block: &str, name: &str| facts[block][name].as_str().unwrap_or_default().to_string();
    let mut out = "Client:\n".to_string();
    let platform = |block: &str| format!("{}/{}", text(block, "Os"), text(block, "Arch"));
    let rows = [
        ("Version", text("Client", "Version")),
        ("API version", text("Client", "ApiVersion")),
        ("OS/Arch", platform("Client")),
        ("Context", text("Client", "Context")),
    ];
    for (name, value) in rows {
        out.push_str(&format!(" {name}:\t{value}\n"));
    }
    out.push_str("\nServer: wherry (no daemon)\n Engine:\n");
    let rows = [
        ("Version", text("Server", "Version")),
        ("API version", text("Server", "ApiVersion")),
        ("OS/Arch", platform("Server")),
        ("Kernel version", text("Server", "KernelVersion")),
    ];
    for (name, value) in rows {
        out.push_str(&format!("  {name}:\t{value}\n"));
    }
    align(&out, VERSION)
}

/// Go's names of some members differ from those in JSON.
struct Facts(Value);

impl Object for Facts {
    fn field(&self, name: &str) -> Option<Value> {
        let mut block = self.0.get(name)?.clone();
        for (go, json) in [
            ("APIVersion", "ApiVersion"),
            ("MinAPIVersion", "MinAPIVersion"),
        ] {
            if let Some(value) = block.get(json).cloned() {
                block[go] = value;
            }
        }
        Some(block)
    }
    fn whole(&self) -> Value {
        self.0.clone()
    }
    fn unknown(&self, name: &str) -> String {
        format!("can't evaluate field {name} in type system.versionInfo")
    }
}
