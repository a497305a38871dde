//! Parse, run, exit code.

use std::process::ExitCode;

use udp_proxy::cli::{self, Command, Outcome};
use udp_proxy::{app, service, tools};

fn main() -> ExitCode {
    let cli = match cli::read(std::env::args_os()) {
        Outcome::Run(cli) => *cli,
        Outcome::Print(text) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Outcome::Wrong(problem) => return failed(2, &problem),
    };
    let ended = match cli.command {
        None => app::main(&cli.proxy),
        Some(Command::Demo(args)) => tools::demo::main(&args),
        Some(Command::Load(args)) => tools::load::main(&args),
        Some(Command::Sink(args)) => tools::sink::main(&args),
        Some(Command::Check(args)) => tools::check::main(&args),
        Some(Command::Healthcheck(args)) => tools::healthcheck::main(&args),
        Some(Command::Service(args)) => service::main(&args),
        Some(Command::Inject(args)) => tools::inject::main(&args),
        Some(Command::Uninject(_)) => tools::inject::undo(),
    };
    match ended {
        Ok(code) => code,
        Err(error) => failed(error.exit_code(), &error),
    }
}

fn failed(code: u8, problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("udp-proxy: {problem}");
    ExitCode::from(code)
}
