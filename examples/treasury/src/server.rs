//! The MCP server over stdin and stdout.

use std::{path::PathBuf, sync::Arc, thread::sleep, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
        Tool, ToolAnnotations,
    },
    service::RequestContext,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::book::{self, Order, TreasuryError};

/// The environment variable that holds the caller's token.
pub const TOKEN_VARIABLE: &str = "TREASURY_TOKEN";

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database file; see [`init`](crate::init).
    pub db: PathBuf,
    /// Milliseconds to wait before and again after the commit of a transfer: a window in which tests kill the process.
    pub delay_ms: u64,
}

/// Serves MCP over stdin and stdout until stdin closes. Blocks, on a runtime of its own.
///
/// # Errors
/// When the runtime cannot start or the client breaks the protocol while connecting. A wrong token is no error here: it
/// makes every call fail.
pub fn run(options: Options) -> Result<(), TreasuryError> {
    let serve = |e: &dyn std::fmt::Display| TreasuryError::Serve(e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| serve(&e))?;
    runtime.block_on(async {
        let desk = Desk(Arc::new(Shared {
            options,
            token: std::env::var(TOKEN_VARIABLE).ok(),
        }));
        let running = desk
            .serve(rmcp::transport::stdio())
            .await
            .map_err(|e| serve(&e))?;
        running.waiting().await.map_err(|e| serve(&e))?;
        Ok(())
    })
}

struct Shared {
    options: Options,
    token: Option<String>,
}

#[derive(Clone)]
struct Desk(Arc<Shared>);

impl ServerHandler for Desk {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("treasury", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Payment accounts of one company. Transfers are executed once per idempotency key.",
            )
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !TOOLS.contains(&request.name.as_ref()) {
            return Err(ErrorData::invalid_params(
                format!(
                    "unknown tool `{}`; known are {}",
                    request.name,
                    TOOLS.join(", ")
                ),
                None,
            ));
        }
        let shared = Arc::clone(&self.0);
        let arguments = request.arguments.unwrap_or_default();
        let answer = tokio::task::spawn_blocking(move || answer(&shared, &request.name, arguments))
            .await
            .map_err(|e| ErrorData::internal_error(format!("the call broke off: {e}"), None))?;
        let result = match answer {
            Ok(value) => CallToolResult::structured(value),
            Err(TreasuryError::Doubtful(e)) => {
                // An answer would claim to know what nobody knows. Without one, the caller looks the key up.
                eprintln!("treasury: the commit failed, the transfer may or may not exist: {e}");
                std::process::exit(70);
            }
            Err(refusal) => CallToolResult::error(vec![ContentBlock::text(refusal.to_string())]),
        };
        Ok(result.into())
    }
}

fn answer(shared: &Shared, tool: &str, arguments: JsonObject) -> Result<Value, TreasuryError> {
    let mut connection = book::connect(&shared.options.db, false)?;
    book::authenticate(&connection, shared.token.as_deref())?;
    let delay = Duration::from_millis(shared.options.delay_ms);
    match tool {
        "transfer_create" => {
            let order: Order = parse(arguments)?;
            let (transfer, created) = book::create(&mut connection, &order, || sleep(delay))?;
            sleep(delay);
            let mut answer = json!(transfer);
            answer["status"] = json!("executed");
            answer["created"] = json!(created);
            Ok(answer)
        }
        "transfer_lookup" => {
            let Key { idempotency_key } = parse(arguments)?;
            Ok(match book::find(&connection, &idempotency_key)? {
                Some(transfer) => {
                    let mut answer = json!(transfer);
                    answer["found"] = json!(true);
                    answer["status"] = json!("executed");
                    answer
                }
                None => json!({"found": false, "idempotency_key": idempotency_key}),
            })
        }
        "transfer_list" => {
            let page: Page = parse(arguments)?;
            let transfers =
                book::list(&connection, page.after_seq, page.limit.clamp(1, PAGE_LIMIT))?;
            Ok(json!({"count": transfers.len(), "transfers": transfers}))
        }
        "account_read" => {
            let Currency { currency } = parse(arguments)?;
            Ok(match book::account(&connection, &currency)? {
                Some(account) => {
                    let mut answer = json!(account);
                    answer["found"] = json!(true);
                    answer
                }
                None => json!({"found": false, "currency": currency}),
            })
        }
        _ => Err(TreasuryError::Refuse(format!("unknown tool `{tool}`"))),
    }
}

fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, TreasuryError> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|e| TreasuryError::Refuse(format!("bad arguments: {e}; nothing was done")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    idempotency_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after_seq: i64,
    #[serde(default = "page_limit")]
    limit: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Currency {
    #[serde(default = "euro")]
    currency: String,
}

fn page_limit() -> i64 {
    PAGE_LIMIT
}

fn euro() -> String {
    "EUR".to_owned()
}

fn tools() -> Vec<Tool> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let read_only = || ToolAnnotations::new().read_only(true);
    vec![
        Tool::new(
            "transfer_create",
            "Pays a vendor at once. The same key with the same arguments answers the first transfer and pays nothing more.",
            schema(
                json!({
                    "idempotency_key": text("at most one transfer is ever executed per key"),
                    "vendor_id": text("who is paid"),
                    "account": text("the vendor's account by its internal id"),
                    "iban": text("the vendor's IBAN"),
                    "invoice_id": text("the invoice that is paid"),
                    "amount_cents": {"type": "integer", "minimum": 1, "description": "in hundredths of the currency"},
                    "currency": text("ISO 4217 code of a currency in which the company holds an account"),
                    "reference": text("what the vendor reads on the statement"),
                }),
                &["idempotency_key", "vendor_id", "amount_cents", "currency", "reference"],
            ),
        )
        .annotate(ToolAnnotations::new().read_only(false).idempotent(true)),
        Tool::new(
            "transfer_lookup",
            "Says whether a transfer with this key was executed.",
            schema(json!({"idempotency_key": text("the key it was asked with")}), &["idempotency_key"]),
        )
        .annotate(read_only()),
        Tool::new(
            "transfer_list",
            "Lists transfers in the order of their execution.",
            schema(
                json!({
                    "after_seq": {"type": "integer", "description": "only those after this sequence number"},
                    "limit": {"type": "integer", "minimum": 1, "maximum": PAGE_LIMIT},
                }),
                &[],
            ),
        )
        .annotate(read_only()),
        Tool::new(
            "account_read",
            "Reads the company's account in one currency.",
            schema(json!({"currency": text("ISO 4217 code; EUR where absent")}), &[]),
        )
        .annotate(read_only()),
    ]
}

fn schema(properties: Value, required: &[&str]) -> JsonObject {
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

const TOOLS: [&str; 4] = [
    "transfer_create",
    "transfer_lookup",
    "transfer_list",
    "account_read",
];

/// The most transfers in one answer.
const PAGE_LIMIT: i64 = 1_000;
