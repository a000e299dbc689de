//! `#[derive(Shout)]` gives a type a method that says its name.

use proc_macro::{TokenStream, TokenTree};

#[proc_macro_derive(Shout)]
pub fn derive_shout(item: TokenStream) -> TokenStream {
    let mut tokens = item.into_iter();
    let name = loop {
        match tokens.next() {
            Some(TokenTree::Ident(word)) if matches!(word.to_string().as_str(), "struct" | "enum") => {
                break tokens.next().expect("a name").to_string();
            }
            Some(_) => {}
            None => panic!("Shout is for structs and enums"),
        }
    };
    let loud = name.to_uppercase();
    format!("impl {name} {{ pub fn shout(&self) -> &'static str {{ \"{loud}!\" }} }}").parse().unwrap()
}
