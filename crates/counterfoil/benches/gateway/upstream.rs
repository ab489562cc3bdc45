//! The upstream: a small MCP server over streamable HTTP, as real as any and as quick as can be.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use axum::Router;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::{Value, json};

use crate::Result;

/// What tells the program to be the upstream.
pub(crate) const WORD: &str = "upstream";

/// The upstream's process.
pub(crate) struct Upstream {
    pub(crate) url: String,
    _ward: Ward,
}

/// A process that ends with this.
pub(crate) struct Ward(pub(crate) Child);

impl Drop for Ward {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Upstream {
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(WORD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().ok_or("no stdout")?;
        let ward = Ward(child);
        let mut url = String::new();
        BufReader::new(said).read_line(&mut url)?;
        Ok(Self {
            url: url.trim().to_owned(),
            _ward: ward,
        })
    }
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Serves until it is killed; says where.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true);
        let sessions = Arc::new(NeverSessionManager::default());
        let service = StreamableHttpService::new(|| Ok(Store), sessions, config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}/mcp", listener.local_addr()?);
        axum::serve(listener, Router::new().route_service("/mcp", service)).await?;
        Ok(())
    })
}

struct Store;

impl ServerHandler for Store {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("store", "1"))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![
            tool("read", "Reads an item.", false),
            tool("write", "Writes an item.", true),
        ]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let answer = match (&*request.name, arguments.get("item")) {
            ("read", Some(item)) => json!({"item": item, "value": "seventeen"}),
            ("write", Some(item)) => json!({"item": item, "written": true}),
            _ => {
                return Err(ErrorData::invalid_params(
                    "`read` or `write`, with `item`",
                    None,
                ));
            }
        };
        Ok(CallToolResult::structured(answer).into())
    }
}

fn tool(name: &'static str, words: &'static str, effect: bool) -> Tool {
    let schema =
        json!({"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]});
    let Value::Object(schema) = schema else {
        unreachable!("an object is one")
    };
    Tool::new(name, words, Arc::new(schema))
        .with_annotations(ToolAnnotations::new().read_only(!effect))
}
