#include "filter_values.h"

#include "arguments.h"
#include "values.h"

namespace vpnd::face {

namespace {

constexpr uint32_t kMaxRules = 1024, kMaxServices = 256;
constexpr uint32_t kMaxPort = 65535;

std::optional<Napi::Array> read_list(Napi::Env env, Napi::Value value, const char* name, uint32_t longest) {
  if (value.IsArray() && value.As<Napi::Array>().Length() <= longest) return value.As<Napi::Array>();
  throw_type_error(env, std::string(name) + " must be an array of at most " + std::to_string(longest));
  return std::nullopt;
}

std::optional<FilterService> read_service(Napi::Env env, Napi::Value value) {
  const auto object = read_object(env, value, "service");
  if (!object) return std::nullopt;
  const auto protocol = read_text(env, object->Get("protocol"), "protocol", 8);
  const auto first = read_number(env, object->Get("first"), "first", 0, kMaxPort);
  if (!protocol || !first) return std::nullopt;
  const auto last = read_number(env, object->Get("last"), "last", *first, kMaxPort);
  if (!last) return std::nullopt;
  FilterService out{FilterService::Protocol::tcp, static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
  if (*protocol == "tcp") return out;
  out.protocol = *protocol == "udp" ? FilterService::Protocol::udp : FilterService::Protocol::icmp;
  if (*protocol == "udp" || *protocol == "icmp") return out;
  throw_type_error(env, "protocol must be \"tcp\", \"udp\" or \"icmp\"");
  return std::nullopt;
}

std::optional<FilterRule> read_rule(Napi::Env env, Napi::Value value) {
  const auto object = read_object(env, value, "rule");
  if (!object) return std::nullopt;
  const auto allow = read_bool(env, object->Get("allow"), "allow");
  const auto services = read_list(env, object->Get("services"), "services", kMaxServices);
  if (!allow || !services) return std::nullopt;
  FilterRule out;
  out.allow = *allow;
  for (uint32_t i = 0; i < services->Length(); i++) {
    const auto service = read_service(env, services->Get(i));
    if (!service) return std::nullopt;
    out.services.push_back(*service);
  }
  const Napi::Value sources = object->Get("sources");
  out.anybody = sources.IsUndefined();
  if (out.anybody) return out;
  auto prefixes = read_prefixes(env, sources);
  if (!prefixes) return std::nullopt;
  out.sources = std::move(*prefixes);
  return out;
}

}  // namespace

std::optional<FilterRules> read_filter(Napi::Env env, Napi::Value value) {
  const auto object = read_object(env, value, "filter");
  if (!object) return std::nullopt;
  const auto rules = read_list(env, object->Get("rules"), "rules", kMaxRules);
  const auto others = read_bool(env, object->Get("allowOthers"), "allowOthers");
  if (!rules || !others) return std::nullopt;
  FilterRules out;
  out.allow_others = *others;
  for (uint32_t i = 0; i < rules->Length(); i++) {
    auto rule = read_rule(env, rules->Get(i));
    if (!rule) return std::nullopt;
    out.rules.push_back(std::move(*rule));
  }
  return out;
}

}  // namespace vpnd::face
