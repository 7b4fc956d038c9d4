//! Sums: additions to stores that cannot add, and several stores as one sum or one product.

mod by_put;
mod product;
mod sum_of_both;

pub use by_put::MergedByPut;
pub use product::Product;
pub use sum_of_both::SumOfBoth;
