//! Debian's docker-registry on a free port of 127.0.0.1: plain, with TLS, or
//! with a password. It is stopped by its pid, at the latest by the kernel
//! when the tests end.

use super::env::{Env, private_dir, remove, run};
use super::image::{Image, Layout};
use super::limit;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};

/// A registry that runs.
pub struct Registry {
    child: Child,
    port: u16,
    dir: PathBuf,
    tls: bool,
    password: Option<(String, String)>,
}

/// How it is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    /// A certificate of a CA of its own, for 127.0.0.1 and localhost.
    pub tls: bool,
    /// User `tester` with the password `secret`.
    pub password: bool,
}

impl Registry {
    /// Plain HTTP, for everybody, empty.
    pub fn plain() -> Self {
        Self::start(Setup::default())
    }

    pub fn start(setup: Setup) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tag = format!(
            "wreg{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let dir = std::env::temp_dir().join(tag);
        private_dir(&dir);
        std::fs::write(dir.join("auth.json"), "{}").unwrap();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  \
             delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n",
            dir.join("storage").display()
        );
        if setup.tls {
            certificates(&dir);
            let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
            config += &format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                cert.display(),
                key.display()
            );
        }
        if setup.password {
            let mut htpasswd = Command::new("htpasswd");
            htpasswd.args(["-Bbn", "tester", "secret"]);
            std::fs::write(dir.join("htpasswd"), run(htpasswd, b"", 10).ok().stdout).unwrap();
            let path = dir.join("htpasswd");
            config += &format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                path.display()
            );
        }
        std::fs::write(dir.join("config.yml"), config).unwrap();
        let (child, port) = serve(&dir);
        Self {
            child,
            port,
            dir,
            tls: setup.tls,
            password: setup.password.then(|| ("tester".into(), "secret".into())),
        }
    }

    /// One for all tests that only read: `busybox:latest` is in it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Registry> = OnceLock::new();
        SHARED.get_or_init(|| {
            let registry = Self::plain();
            let dir = registry.dir.join("layout");
            let layout = Image::busybox().write(&dir, "latest");
            registry.push_layout(&layout, "library/busybox:latest", &[]);
            registry
        })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The certificate that vouches for it.
    pub fn ca(&self) -> Option<PathBuf> {
        self.tls.then(|| self.dir.join("ca.crt"))
    }

    /// Its files: to damage them.
    pub fn storage(&self) -> PathBuf {
        self.dir.join("storage/docker/registry/v2")
    }

    /// Puts an image there by `skopeo copy`; `name` is `library/x:tag`.
    pub fn push(&self, env: &Env, image: &Image, name: &str) -> Layout {
        let dir = env
            .path("tmp")
            .join(format!("layout-{}", name.replace(['/', ':'], "-")));
        let layout = image.write(&dir, "image");
        self.push_layout(&layout, name, &[]);
        layout
    }

    /// `options` are skopeo's: `--format v2s2` makes Docker's media types.
    pub fn push_layout(&self, layout: &Layout, name: &str, options: &[&str]) {
        let mut skopeo = Command::new("skopeo");
        skopeo.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
        ]);
        if let Some((user, password)) = &self.password {
            skopeo.arg(format!("--dest-creds={user}:{password}"));
        }
        skopeo
            .args(options)
            .arg(format!("oci:{}", layout.reference()))
            .arg(format!("docker://{}/{name}", self.host()))
            .env("TMPDIR", &self.dir)
            // Its own place, which another user may have closed to us.
            .env("REGISTRY_AUTH_FILE", self.dir.join("auth.json"));
        run(skopeo, b"", 120).ok();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove(&self.dir);
    }
}

/// Starts the server and waits until it says on which port it listens.
fn serve(dir: &Path) -> (Child, u16) {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "docker-registry", "serve"])
        .arg(dir.join("config.yml"))
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = start(command);
    let log = BufReader::new(child.stderr.take().expect("piped"));
    let (sender, receiver) = channel();
    // Reads on to the end, so that the server never waits for its log.
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in log.lines().map_while(Result::ok) {
            if let Some(port) = line.split("listening on 127.0.0.1:").nth(1) {
                let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
                let _ = sender.send(Ok(digits.parse().expect("a port")));
            }
            if lines.len() < 50 {
                lines.push(line);
            }
        }
        let _ = sender.send(Err(lines.join("\n")));
    });
    match receiver.recv_timeout(limit(20)) {
        Ok(Ok(port)) => (child, port),
        Ok(Err(log)) => panic!(
            "docker-registry did not start (Debian: apt-get install docker-registry):\n{log}"
        ),
        Err(_) => panic!("docker-registry does not listen"),
    }
}

/// Starts a process from a thread that never ends: the signal at the parent's
/// death (PR_SET_PDEATHSIG) comes when the *thread* ends that started it.
fn start(command: Command) -> Child {
    type Job = (Command, Sender<std::io::Result<Child>>);
    static KEEPER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, child) = channel();
    keeper
        .lock()
        .unwrap()
        .send((command, reply))
        .expect("the keeper lives");
    child
        .recv()
        .expect("the keeper answers")
        .expect("setpriv is there (util-linux)")
}

/// ca.crt, and cert.pem with key.pem for 127.0.0.1 and localhost.
fn certificates(dir: &Path) {
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        command.args(args.split(' ')).current_dir(dir);
        run(command, b"", 20).ok();
    };
    std::fs::write(
        dir.join("names"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\n",
    )
    .unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -days 30 -subj /CN=test-ca -keyout ca-private.pem -out ca.crt \
         -addext keyUsage=critical,keyCertSign"
    ));
    openssl(&format!(
        "req {key} -subj /CN=localhost -keyout key.pem -out csr.pem"
    ));
    openssl(
        "x509 -req -in csr.pem -CA ca.crt -CAkey ca-private.pem -CAcreateserial -days 30 -extfile names -out cert.pem",
    );
}

mod tests {
    use super::*;

    #[test]
    fn serves_plain_and_with_tls_and_password() {
        let env = Env::new();
        let registry = Registry::shared();
        let setup = Setup {
            tls: true,
            password: true,
        };
        let closed = Registry::start(setup);
        closed.push(&env, &Image::busybox(), "library/busybox:latest");
        let inspect = |options: &[&str], host: String| {
            let mut skopeo = env.command("skopeo");
            skopeo
                .arg("inspect")
                .args(options)
                .arg(format!("docker://{host}/library/busybox"));
            run(skopeo, b"", 60)
        };
        inspect(&["--tls-verify=false"], registry.host()).ok();
        let ca = closed.dir.to_str().unwrap();
        inspect(
            &["--cert-dir", ca, "--creds", "tester:secret"],
            closed.host(),
        )
        .ok();
        inspect(
            &["--cert-dir", ca, "--creds", "tester:wrong"],
            closed.host(),
        )
        .status(1);
        inspect(&["--creds", "tester:secret"], closed.host())
            .status(1)
            .says("x509");
        let pid = closed.child.id();
        drop(closed);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
