//! Operator state that is asked for over a channel: the executor lives on one thread and owns what it is given, and what
//! answers may borrow stores of the caller on another.
//!
//! ```
//! use rufous_core::{OperatorState, Wanted};
//! use rufous_store_api::asked;
//!
//! let (asker, answers) = asked::channel();
//! std::thread::scope(|scope| {
//!     scope.spawn(move || answers.serve(|wanted| Ok(wanted.keys.iter().map(|key| Some(key.clone())).collect())));
//!     let keys = [b"a".to_vec()];
//!     let wanted = Wanted { store: 0, source: 0, partition: 3, keys: &keys };
//!     assert_eq!(asker.state().values(&wanted)?, [Some(b"a".to_vec())]);
//!     drop(asker);
//!     Ok::<(), rufous_core::Error>(())
//! })?;
//! # Ok::<(), rufous_core::Error>(())
//! ```

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel as unbounded, sync_channel};

use rufous_core::panics::catch;
use rufous_core::{Error, OperatorState, Result, Wanted};

type Values = Vec<Option<Vec<u8>>>;

struct Question {
    store: usize,
    source: u32,
    partition: u32,
    keys: Vec<Vec<u8>>,
    answer: SyncSender<Result<Values>>,
}

/// Makes [`OperatorState`] for executors.
#[derive(Clone)]
pub struct Asker(Sender<Question>);

/// Answers what they ask.
pub struct Answers(Receiver<Question>);

/// Both ends. Who answers ends when all who could ask are gone.
pub fn channel() -> (Asker, Answers) {
    let (questions, inbox) = unbounded();
    (Asker(questions), Answers(inbox))
}

impl Asker {
    /// The state of one executor.
    pub fn state(&self) -> Box<dyn OperatorState> {
        let (answer, answers) = sync_channel(1);
        Box::new(Remote {
            questions: self.0.clone(),
            answer,
            answers,
        })
    }
}

struct Remote {
    questions: Sender<Question>,
    answer: SyncSender<Result<Values>>,
    answers: Receiver<Result<Values>>,
}

fn gone() -> Error {
    Error::bug("who reads the state of operators ended before those who need it")
}

impl OperatorState for Remote {
    fn values(&mut self, wanted: &Wanted<'_>) -> Result<Values> {
        let question = Question {
            store: wanted.store,
            source: wanted.source,
            partition: wanted.partition,
            keys: wanted.keys.to_vec(),
            answer: self.answer.clone(),
        };
        self.questions.send(question).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())?
    }
}

impl Answers {
    /// Answers until nobody can ask any more.
    pub fn serve(self, mut values: impl FnMut(&Wanted<'_>) -> Result<Values>) {
        while let Ok(question) = self.0.recv() {
            let wanted = Wanted {
                store: question.store,
                source: question.source,
                partition: question.partition,
                keys: &question.keys,
            };
            // The job's own sums add up what is stored.
            let found = catch(|| values(&wanted)).unwrap_or_else(|panicked| {
                Err(Error::invalid(format!(
                    "while the state of an operator was added up, {panicked}"
                )))
            });
            // Who asked may have panicked meanwhile.
            let _ = question.answer.send(found);
        }
    }
}
