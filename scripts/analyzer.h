/* What clang's analyzer can't see from a file alone: a code that describes an error is negative. */
#include "tillfs/base.h"

#undef err_set
#define err_set(err, code, ...) (err_set_at(err, code, __FILE__, __LINE__, __VA_ARGS__), (code))
#undef err_sys
#define err_sys(err, ...)       (err_sys_at(err, __FILE__, __LINE__, __VA_ARGS__), ERR_IO)
#define err_add(err, code, ...) ((err_add)(err, code, __VA_ARGS__), (code))
