//! To and from the images of Apache DataSketches.

use super::hash::{ItemHash, Murmur3};
use super::tokens::Tokens;
use super::{HyperLogLog, State, Token, raise};
use crate::apache::hll_image::{Content, from_image, to_image};
use crate::codec::DecodeError;

impl<const P: u8, H: ItemHash> HyperLogLog<P, H> {
    /// The `HLL_8` image, which every DataSketches library reads. Feature `datasketches`.
    ///
    /// With [`Murmur3`] others can merge it with their own sketches. With [`Xxh3`](super::Xxh3) they read the estimate, and
    /// merge it only with sketches from here.
    pub fn to_apache(&self) -> Vec<u8> {
        match &self.state {
            State::Sparse(tokens) => {
                let tokens: Vec<u32> = tokens.iter().map(|t| t.0).collect();
                to_image(P, Content::Tokens(tokens.into()))
            }
            State::Dense(registers) => to_image(P, Content::Registers((&**registers).into())),
        }
    }
}

impl<const P: u8> HyperLogLog<P, Murmur3> {
    /// Reads an image (`HLL_4`, `HLL_6` or `HLL_8`) that any DataSketches library wrote of items hashed with its default
    /// seed. More registers than `2^P` are folded, which is exact. Feature `datasketches`.
    ///
    /// # Errors
    /// When the bytes are no such image, or it has fewer registers than `2^P`.
    pub fn from_apache(image: &[u8]) -> Result<Self, DecodeError> {
        let (lg_k, content) = from_image(image)?;
        let mut this = Self::default();
        match content {
            Content::Tokens(tokens) => {
                let tokens: Vec<Token> = tokens.iter().map(|t| Token(*t)).collect();
                this.state = State::Sparse(Tokens::of(&tokens));
                this.settle();
            }
            Content::Registers(_) if lg_k < P => {
                return Err(DecodeError::new(format!(
                    "an hll image of 2^{lg_k} registers cannot become one of 2^{P}: read it as a sketch of lower precision"
                )));
            }
            Content::Registers(ranks) => {
                let mut registers = vec![0; Self::REGISTERS].into_boxed_slice();
                for (slot, rank) in (0..).zip(&*ranks) {
                    raise(&mut registers, Token::new(slot, *rank));
                }
                this.state = State::Dense(registers);
            }
        }
        Ok(this)
    }
}
