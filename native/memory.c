/*
 * A Node addon with one function, which gives memory that was freed back to the system: malloc_trim(3) of the C library that
 * Node runs on. Loading it fails with another C library than glibc. Its few declarations of Node-API are here, so that it
 * builds without Node's headers; their form is stable (https://nodejs.org/api/n-api.html).
 */
#include <stddef.h>

typedef void *napi_env, *napi_value, *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int malloc_trim(size_t);
__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports);

static napi_value trim(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  malloc_trim(0);
  return NULL; /* undefined */
}

/* Called once, by Node. What it returns becomes `module.exports`. */
napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  return napi_create_function(env, "trim", 4, trim, NULL, &function) == 0 ? function : exports;
}
