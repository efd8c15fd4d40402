#include "handler.h"

namespace vpnd::face {

bool call_handler(napi_env env, napi_value handler, std::initializer_list<napi_value> arguments) noexcept {
  napi_value nobody, thrown;
  if (napi_get_undefined(env, &nobody) != napi_ok) return false;
  const napi_status status = napi_call_function(env, nobody, handler, arguments.size(), arguments.begin(), nullptr);
  if (status == napi_ok) return true;
  return status == napi_pending_exception && napi_get_and_clear_last_exception(env, &thrown) == napi_ok &&
         napi_fatal_exception(env, thrown) == napi_ok;
}

}  // namespace vpnd::face
