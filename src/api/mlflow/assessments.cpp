#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"
#include "base/text.h"

namespace lakeloop::api::mlflow {

namespace {

using net::Method;

// protobuf's FieldMask is written "assessmentName,feedback"; some clients send the paths as they are.
std::vector<std::string> mask_of(const Json& mask) {
  std::vector<std::string> paths;
  if (mask.is_object()) {
    paths = strings_of(mask["paths"], "update_mask.paths");
  } else {
    for (const std::string_view part : split(mask.string_or(""), ',')) {
      if (!trim(part).empty()) paths.emplace_back(trim(part));
    }
  }
  for (std::string& path : paths) {
    std::string snake;
    for (const char c : path) {
      if (c >= 'A' && c <= 'Z') {
        snake += '_';
        snake += static_cast<char>(c - 'A' + 'a');
      } else {
        snake += c;
      }
    }
    path = std::move(snake);
  }
  return paths;
}

tracking::Assessment body_of(const Call& call) {
  tracking::Assessment a = assessment_of(call.fields["assessment"]);
  a.trace_id = call.str("trace_id");
  if (!call.str("assessment_id").empty()) a.assessment_id = call.str("assessment_id");
  return a;
}

}  // namespace

void add_assessment_routes(Routes& routes, tracking::Tracking& tracking) {
  const Field trace{"trace_id", FieldType::kString, true, "Id of the trace"};
  const Field id{"assessment_id", FieldType::kString, true, "Id of the assessment"};
  const Field body{"assessment", FieldType::kObject, true,
                   "{assessment_name, source, feedback | expectation | issue, rationale, metadata, overrides}"};

  add(routes, Method::kPost, "3.0/mlflow/traces/{trace_id}/assessments", "createAssessment",
      "Say something about a trace", {trace, body}, [&tracking](Call& call) {
        return Json::object({{"assessment", assessment_json(tracking.create_assessment(call.who, body_of(call)))}});
      });
  add(routes, Method::kGet, "3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", "getAssessment",
      "Read an assessment", {trace, id}, [&tracking](Call& call) {
        return Json::object({{"assessment", assessment_json(tracking.get_assessment(call.who, call.str("trace_id"),
                                                                                    call.str("assessment_id")))}});
      });
  add(routes, Method::kPatch, "3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", "updateAssessment",
      "Change an assessment", {trace, id, body, {"update_mask", FieldType::kAny, true, "\"feedback,rationale\""}},
      [&tracking](Call& call) {
        const auto changed = tracking.update_assessment(call.who, body_of(call), mask_of(call.fields["update_mask"]));
        return Json::object({{"assessment", assessment_json(changed)}});
      });
  add(routes, Method::kDelete, "3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", "deleteAssessment",
      "Take an assessment back; what it superseded stands again", {trace, id}, [&tracking](Call& call) {
        tracking.delete_assessment(call.who, call.str("trace_id"), call.str("assessment_id"));
        return Json::object();
      });
}

}  // namespace lakeloop::api::mlflow
