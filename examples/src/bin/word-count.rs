//! An `rq` that counts words: `word-count worker`, `word-count enqueue word_count.count_words_at_url URL`, ...

use std::process::ExitCode;

use rq_cli::App;
use rq_examples::word_count::{self, Http};

fn main() -> ExitCode {
    App::new(word_count::handlers()).state(Http::new).run()
}
