//! Jobs that ask for what their program shares among them.
//!
//! | name | does |
//! |---|---|
//! | `states.tell` | says in which process each state was made, and what became of the others |
//! | `states.accept` | uses what async code has made |
//! | `states.broken`, `states.unknown` | ask for a state that cannot be made, or that nobody has added |

use std::io;
use std::net::TcpStream;

use rq_cli::App;
use rq_core::{Context, Handlers, handlers, job};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

type Result<T> = rq_core::Result<T>;

/// Made before the first job.
#[derive(Debug)]
pub struct Table {
    made_in: u32,
}

/// Made by async code.
#[derive(Debug)]
pub struct Service {
    made_in: u32,
    listener: TcpListener,
}

/// Cannot be made.
#[derive(Debug)]
pub struct Broken;

/// Nobody has added it.
#[derive(Debug)]
pub struct Unknown;

/// What `states.tell` returns.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The process that runs the job.
    pub process: u32,
    /// Where the preloaded state was made.
    pub table: u32,
    /// Where the async one was made.
    pub service: u32,
    /// Why the third was not made.
    pub broken: String,
}

/// An app with the states that these jobs ask for.
pub fn app(handlers: Handlers) -> App {
    App::new(handlers)
        .preloaded_state(|| Ok::<_, io::Error>(Table { made_in: std::process::id() }))
        .async_state(|| async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            Ok::<_, io::Error>(Service { made_in: std::process::id(), listener })
        })
        .try_state(|| Err::<Broken, _>(io::Error::other("no such database")))
}

/// An app with a preloaded state that is read from the file which the variable `RQ_TEST_MODEL` names.
pub fn model_app(handlers: Handlers) -> App {
    let read = || std::fs::read(std::env::var_os("RQ_TEST_MODEL").unwrap_or_default());
    App::new(handlers).preloaded_state(read)
}

/// An app with a preloaded state that cannot be made.
pub fn broken_app(handlers: Handlers) -> App {
    App::new(handlers).preloaded_state(|| Err::<Broken, _>(io::Error::other("no such file")))
}

/// All of them.
pub fn handlers() -> Handlers {
    handlers![tell, broken, unknown, accept]
}

/// Says in which process each state was made.
#[job("states.tell")]
pub fn tell(ctx: &Context) -> Result<Told> {
    let broken = ctx.try_state::<Broken>().err().ok_or("it cannot be made")?;
    Ok(Told {
        process: std::process::id(),
        table: ctx.state::<Table>().made_in,
        service: ctx.state::<Service>().made_in,
        broken: broken.told(),
    })
}

/// Uses what async code has made, in async code: its runtime goes on.
#[job("states.accept")]
pub async fn accept(ctx: &Context) -> Result<()> {
    let service = ctx.state::<Service>();
    let address = service.listener.local_addr()?;
    let client = std::thread::spawn(move || TcpStream::connect(address));
    service.listener.accept().await?;
    client.join().map_err(|_| "the client has panicked")??;
    Ok(())
}

/// Asks for a state that cannot be made.
#[job("states.broken")]
pub fn broken(ctx: &Context) -> Result<()> {
    let Broken = ctx.state::<Broken>();
    Ok(())
}

/// Asks for a state that nobody has added.
#[job("states.unknown")]
pub fn unknown(ctx: &Context) -> Result<()> {
    let Unknown = ctx.state::<Unknown>();
    Ok(())
}
