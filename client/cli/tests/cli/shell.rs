//! `bezant shell` with its commands from a pipe.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::fixture::{BEZANT, World};

fn shell(mut command: Command, script: &str) -> (i32, String, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that ends before it has read all is what some of the scripts are for.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn lines_are_commands_and_tuples_need_no_quotes() {
    let world = World::new();
    let _dev = world.dev();
    let run = |script: &str| {
        let mut command = world.command(BEZANT);
        command.args(["shell", "-o", "raw"]);
        shell(command, script)
    };
    let script = r#"
# A remark, and an empty line.

out jobs ("build", 42, ["a b", true])
out jobs '("test", 7)'
rdp jobs ("none")
rdp jobs (_, ?int, ?list)
count jobs (_, _) -o json
"#;
    let (code, said, error) = run(script);
    assert_eq!(code, 0, "{error}");
    let (first, rest) = said.split_once('\n').unwrap();
    assert_eq!(first, r#"("build", 42, ["a b", true])"#);
    assert!(rest.contains(r#""count": 1"#), "{rest}");
    // It ends with what fails, and with nothing that merely did not match.
    let (code, said, error) = run("rdp jobs (99)\nout jobs (1\ncount jobs (_, _)\n");
    assert_eq!((code, said.as_str()), (2, ""));
    assert!(error.contains("not closed"), "{error}");
    let (code, _, error) = run("count nowhere (_)\ncount jobs (_, _)\n");
    assert_eq!(code, 1);
    assert!(error.contains("space create"), "{error}");
    assert_eq!(run("node --config x\n").0, 2);
    assert_eq!(run("nonsense\n").0, 2);
    let (code, said, _) = run("count jobs (_, _)\nexit\ncount jobs (_, _)\n");
    assert_eq!((code, said.as_str()), (0, "1\n"));
}
