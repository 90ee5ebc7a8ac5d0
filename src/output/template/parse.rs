//! From tokens to a tree. Nesting is bounded, so that no input can exhaust the
//! stack here or in evaluation.

use super::funcs;
use super::lex::{Failure, Kind, Piece, Token, pieces};

/// Blocks in blocks and parentheses in parentheses.
const DEPTH: usize = 64;

#[derive(Debug)]
pub enum Node {
    Text(String),
    Print(Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
    Break,
    Continue,
}

/// Commands joined by `|`, the result perhaps kept in variables.
#[derive(Debug)]
pub struct Pipeline {
    pub variables: Vec<String>,
    /// `=`: the variables exist already.
    pub assigns: bool,
    pub commands: Vec<Command>,
}

/// A function or field with its arguments, or a lone operand.
#[derive(Debug)]
pub struct Command {
    pub operands: Vec<Operand>,
    pub at: usize,
    pub end: usize,
}

#[derive(Debug)]
pub struct Operand {
    pub value: Value,
    /// Fields behind it: `.A.B` of `(…).A.B`.
    pub chain: Vec<String>,
    pub at: usize,
    pub end: usize,
    /// What an error points at: Go points at the first field behind the
    /// operand's beginning.
    pub column: usize,
}

#[derive(Debug)]
pub enum Value {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Variable(String),
    Function(String),
    Nested(Box<Pipeline>),
}

/// Parses a whole template; the error is Go's text for it.
pub fn parse(source: &str) -> Result<Vec<Node>, String> {
    let told = |(at, text): Failure| {
        let line = source.get(..at).unwrap_or(source).matches('\n').count() + 1;
        format!("template: :{line}: {text}")
    };
    let mut parser = Parser {
        pieces: pieces(source).map_err(told)?.into_iter(),
        variables: vec![String::new()],
        ranges: 0,
        depth: 0,
        end: source.len(),
    };
    let (nodes, stop) = parser.block().map_err(told)?;
    match stop {
        Stop::End => Ok(nodes),
        Stop::Word(word, _, at) => Err(told((at, format!("unexpected {{{{{word}}}}}")))),
    }
}

/// What ended a list of nodes.
enum Stop {
    End,
    /// `end` or `else`, the tokens behind it, and where it is.
    Word(String, Vec<Token>, usize),
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    /// Variables in scope; the first, without a name, is `$`.
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    end: usize,
}

impl Parser {
    fn block(&mut self) -> Result<(Vec<Node>, Stop), Failure> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, at) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens, at) => (tokens, at),
            };
            let word = match tokens.first().map(|t| &t.kind) {
                Some(Kind::Word(word)) => word.as_str(),
                Some(_) => "",
                None => return Err((at, "missing value for command".into())),
            };
            match word {
                "end" | "else" => {
                    return Ok((
                        nodes,
                        Stop::Word(word.to_string(), tokens[1..].to_vec(), at),
                    ));
                }
                "if" | "with" | "range" => {
                    let word = word.to_string();
                    nodes.push(self.control(&word, &tokens[1..], at)?);
                }
                "break" | "continue" => {
                    if self.ranges == 0 {
                        return Err((at, format!("{{{{{word}}}}} outside {{{{range}}}}")));
                    }
                    nodes.push(if word == "break" {
                        Node::Break
                    } else {
                        Node::Continue
                    });
                }
                "define" | "block" | "template" => {
                    return Err((at, format!("{{{{{word}}}}} is not supported")));
                }
                _ => nodes.push(Node::Print(self.pipeline(&tokens, "command", at)?)),
            }
        }
        Ok((nodes, Stop::End))
    }

    /// `if`, `with` or `range` from behind the word to its `end`.
    fn control(&mut self, word: &str, tokens: &[Token], at: usize) -> Result<Node, Failure> {
        self.deeper(at)?;
        let known = self.variables.len();
        let pipeline = self.pipeline(tokens, word, at)?;
        let most = if word == "range" { 2 } else { 1 };
        if pipeline.variables.len() > most {
            return Err((at, format!("too many declarations in {word}")));
        }
        self.ranges += usize::from(word == "range");
        let (body, stop) = self.block()?;
        self.ranges -= usize::from(word == "range");
        let otherwise = match stop {
            Stop::Word(ended, _, _) if ended == "end" => Vec::new(),
            Stop::Word(_, rest, at) => self.otherwise(word, &rest, at)?,
            Stop::End => return Err((self.end, "unexpected EOF".into())),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(match word {
            "if" => Node::If(pipeline, body, otherwise),
            "with" => Node::With(pipeline, body, otherwise),
            _ => Node::Range(pipeline, body, otherwise),
        })
    }

    /// Behind `else`: another `if` or `with`, or the last list.
    fn otherwise(&mut self, word: &str, rest: &[Token], at: usize) -> Result<Vec<Node>, Failure> {
        if let Some(Kind::Word(next)) = rest.first().map(|t| &t.kind)
            && next == word
            && word != "range"
        {
            let next = next.clone();
            return Ok(vec![self.control(&next, &rest[1..], at)?]);
        }
        if let Some(token) = rest.first() {
            return Err((token.at, "unexpected token in else".into()));
        }
        match self.block()? {
            (nodes, Stop::Word(ended, _, _)) if ended == "end" => Ok(nodes),
            (_, Stop::Word(_, _, at)) => Err((at, "expected end; found {{else}}".into())),
            (_, Stop::End) => Err((self.end, "unexpected EOF".into())),
        }
    }

    fn deeper(&mut self, at: usize) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err((at, format!("nested more than {DEPTH} deep")));
        }
        Ok(())
    }

    fn pipeline(
        &mut self,
        tokens: &[Token],
        context: &str,
        at: usize,
    ) -> Result<Pipeline, Failure> {
        let (variables, assigns, rest) = self.declarations(tokens)?;
        let mut commands = Vec::new();
        let mut cursor = Cursor {
            tokens: rest,
            at: 0,
        };
        loop {
            let operands = self.operands(&mut cursor)?;
            if operands.is_empty() {
                let missing = if cursor.peek().is_some() || !commands.is_empty() {
                    "missing value for command".to_string()
                } else {
                    format!("missing value for {context}")
                };
                return Err((at, missing));
            }
            commands.push(Command {
                at: operands[0].at,
                end: operands.last().map_or(at, |o| o.end),
                operands,
            });
            match cursor.next() {
                None => break,
                Some(token) if token.kind == Kind::Pipe => {}
                Some(token) => return Err((token.at, "unexpected token in operand".into())),
            }
        }
        check_pipeline(&commands)?;
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline {
            variables,
            assigns,
            commands,
        })
    }

    /// `$a := …`, `$a, $b := …`, `$a = …`.
    fn declarations<'t>(
        &self,
        tokens: &'t [Token],
    ) -> Result<(Vec<String>, bool, &'t [Token]), Failure> {
        let mut names = Vec::new();
        let mut rest = tokens;
        while let [
            Token {
                kind: Kind::Variable(name),
                at,
                ..
            },
            next,
            ..,
        ] = rest
        {
            names.push(name.clone());
            match next.kind {
                Kind::Declare => return Ok((names, false, &rest[2..])),
                Kind::Assign => {
                    for name in &names {
                        self.known(name, *at)?;
                    }
                    return Ok((names, true, &rest[2..]));
                }
                Kind::Comma => rest = &rest[2..],
                _ => break,
            }
        }
        Ok((Vec::new(), false, tokens))
    }

    fn known(&self, name: &str, at: usize) -> Result<(), Failure> {
        if self.variables.iter().any(|v| v == name) {
            return Ok(());
        }
        Err((at, format!("undefined variable \"${name}\"")))
    }

    fn operands(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Operand>, Failure> {
        let mut operands = Vec::new();
        while let Some(token) = cursor.peek() {
            if matches!(token.kind, Kind::Pipe | Kind::Close) {
                break;
            }
            operands.push(self.operand(cursor)?);
        }
        Ok(operands)
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<Operand, Failure> {
        let Some(token) = cursor.next() else {
            return Err((self.end, "missing value for command".into()));
        };
        let at = token.at;
        let mut chain = Vec::new();
        let value = match &token.kind {
            Kind::Dot => Value::Dot,
            Kind::Field(name) => {
                chain.push(name.clone());
                Value::Dot
            }
            Kind::Variable(name) => {
                self.known(name, at)?;
                Value::Variable(name.clone())
            }
            Kind::Int(n) => Value::Int(*n),
            Kind::Float(n) => Value::Float(*n),
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Word(word) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "nil" => Value::Nil,
                word if funcs::exists(word) => Value::Function(word.to_string()),
                word => return Err((at, format!("function \"{word}\" not defined"))),
            },
            Kind::Open => Value::Nested(Box::new(self.nested(cursor, at)?)),
            Kind::Pipe | Kind::Close | Kind::Declare | Kind::Assign | Kind::Comma => {
                return Err((at, "unexpected token in operand".into()));
            }
        };
        let mut column = at;
        while let Some(Token {
            kind: Kind::Field(name),
            glued: true,
            at: here,
        }) = cursor.peek()
        {
            if column == at {
                column = *here;
            }
            if matches!(
                value,
                Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Nil
            ) {
                return Err((at, format!("unexpected .{name} behind a constant")));
            }
            chain.push(name.clone());
            cursor.at += 1;
        }
        let end = cursor.end_of_last();
        Ok(Operand {
            value,
            chain,
            at,
            end,
            column,
        })
    }

    /// Behind `(` to the matching `)`.
    fn nested(&mut self, cursor: &mut Cursor<'_>, at: usize) -> Result<Pipeline, Failure> {
        self.deeper(at)?;
        let mut open = 1;
        let start = cursor.at;
        while let Some(token) = cursor.next() {
            match token.kind {
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        let inner = &cursor.tokens[start..cursor.at - 1];
        let pipeline = self.pipeline(inner, "parenthesized pipeline", at)?;
        self.depth -= 1;
        Ok(pipeline)
    }
}

/// A constant cannot take the result of the command before it.
fn check_pipeline(commands: &[Command]) -> Result<(), Failure> {
    for (index, command) in commands.iter().enumerate().skip(1) {
        let first = &command.operands[0];
        let callable = matches!(first.value, Value::Function(_)) || !first.chain.is_empty();
        if !callable {
            return Err((
                command.at,
                format!("non executable command in pipeline stage {}", index + 1),
            ));
        }
    }
    Ok(())
}

struct Cursor<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at)
    }
    fn next(&mut self) -> Option<&'t Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }
    /// Where the token behind the last one begins; good enough to show it.
    fn end_of_last(&self) -> usize {
        let last = &self.tokens[self.at - 1];
        last.at + length(&last.kind)
    }
}

fn length(kind: &Kind) -> usize {
    match kind {
        Kind::Field(name) | Kind::Variable(name) => name.len() + 1,
        Kind::Word(word) => word.len(),
        Kind::Text(text) => text.len() + 2,
        Kind::Int(n) => n.to_string().len(),
        Kind::Float(n) => n.to_string().len(),
        Kind::Declare => 2,
        Kind::Dot | Kind::Pipe | Kind::Open | Kind::Close | Kind::Assign | Kind::Comma => 1,
    }
}
