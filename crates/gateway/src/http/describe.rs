//! Routes together with their description: what is not described cannot be routed.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Door, problem::Problem};

/// One operation of the API.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Its name in generated clients.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    parameters: Vec<Value>,
    body: Option<fn(&mut SchemaGenerator) -> Schema>,
    answer: Answers,
    authorized: bool,
}

enum Answers {
    Json(u16, fn(&mut SchemaGenerator) -> Schema),
    Text(&'static str),
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Operation {
    pub(super) fn get<A: JsonSchema>(
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method: Method::GET,
            path,
            id,
            summary,
            parameters: parameters_of(path),
            body: None,
            answer: Answers::Json(200, schema_of::<A>),
            authorized: true,
        }
    }

    /// A request with a body, which may carry an `Idempotency-Key`.
    pub(super) fn post<B: JsonSchema, A: JsonSchema>(
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let mut operation = Self::get::<A>(path, id, summary);
        operation.method = Method::POST;
        operation.body = Some(schema_of::<B>);
        operation.parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "Sent again with the same body, the answer is the first one's, also after a crash; with another body, 422. Kept for a day.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
        }));
        operation
    }

    pub(super) fn query(mut self, name: &str, schema: Value, description: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "required": false, "description": description, "schema": schema,
        }));
        self
    }

    /// A listing: `limit` and `cursor`.
    pub(super) fn paged(self) -> Self {
        self.query(
            "limit",
            json!({"type": "integer", "minimum": 1, "maximum": super::page::MOST, "default": super::page::USUAL}),
            "At most so many items.",
        )
        .query(
            "cursor",
            json!({"type": "string", "maxLength": 512}),
            "The `next` of the page before.",
        )
    }

    pub(super) fn header(mut self, name: &str, schema: Value, description: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": schema,
        }));
        self
    }

    pub(super) fn text(mut self, kind: &'static str) -> Self {
        self.answer = Answers::Text(kind);
        self
    }

    /// Needs nobody's token.
    pub(super) fn open(mut self) -> Self {
        self.authorized = false;
        self
    }

    fn describe(&self, generator: &mut SchemaGenerator) -> Value {
        let problem = generator.subschema_for::<Problem>();
        let (status, content) = match &self.answer {
            Answers::Json(status, schema) => (
                *status,
                json!({"application/json": {"schema": schema(generator)}}),
            ),
            Answers::Text(kind) => (200, json!({*kind: {"schema": {"type": "string"}}})),
        };
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": {
                status.to_string(): {"description": "What was asked.", "content": content},
                "default": {
                    "description": "Why not: 400 malformed, 401 unauthenticated, 403 refused by a rule (`refusal` says which, and what would make it pass), 404 not there, 405, 409 the same key is in flight, 413 too long, 415, 422 the key was used with another body, 429 too many, 503 away.",
                    "content": {"application/problem+json": {"schema": problem}},
                },
            },
        });
        if let Some(body) = self.body {
            operation["requestBody"] = json!({
                "required": true,
                "content": {"application/json": {"schema": body(generator)}},
            });
        }
        if !self.authorized {
            operation["security"] = json!([]);
        }
        operation
    }
}

/// The parameters that stand in the path.
fn parameters_of(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 64}})
        })
        .collect()
}

/// The API as it is put together.
pub(super) struct Api {
    router: Router<Door>,
    paths: Map<String, Value>,
    generator: SchemaGenerator,
}

impl Api {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|s| {
            s.definitions_path = "/components/schemas".into();
            s.meta_schema = None;
        });
        Self {
            router: Router::new(),
            paths: Map::new(),
            generator: settings.into_generator(),
        }
    }

    /// Adds an operation with what carries it out.
    pub(super) fn route<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Door>,
        T: 'static,
    {
        let described = operation.describe(&mut self.generator);
        let word = operation.method.as_str().to_ascii_lowercase();
        let path = self
            .paths
            .entry(operation.path)
            .or_insert_with(|| json!({}));
        path[word] = described;
        let filter = if operation.method == Method::POST {
            MethodFilter::POST
        } else {
            MethodFilter::GET
        };
        self.router = self.router.route(operation.path, on(filter, handler));
        self
    }

    /// The routes, and the OpenAPI 3.1 document that describes them and the webhooks.
    pub(super) fn finish(
        mut self,
        webhooks: impl FnOnce(&mut SchemaGenerator) -> Map<String, Value>,
    ) -> (Router<Door>, Value) {
        let webhooks = webhooks(&mut self.generator);
        let schemas = self.generator.take_definitions(true);
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Counterfoil",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Agents, services and people ask; each answer rests on records that are durable before it. Agents and services come with a bearer token, their own or one of their identity provider; people come with a signature, which is its own proof.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}, {"certificate": []}],
            "paths": self.paths,
            "webhooks": webhooks,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "A token that `principal add` made, or a JWT of a pinned identity provider."},
                    "certificate": {"type": "mutualTLS", "description": "A client certificate of the authority that `serve --client-ca` names."},
                },
            },
        });
        (self.router, document)
    }
}
