// In the place of py/emitnthumb.c, which makes native code of functions on the chip: 12 kB that the
// frozen application does not need, as mpy-cross did it on the computer. Compiled modules (.mpy)
// with native code load as ever, and so does a function in assembler.

#include "py/emit.h"
#include "py/runtime.h"

#if !MICROPY_EMIT_THUMB
#error "the interpreter has to run native code"
#endif

const emit_method_table_t emit_native_thumb_method_table = {0};

emit_t *emit_native_thumb_new(mp_emit_common_t *emit_common, mp_obj_t *error_slot,
    uint *label_slot, mp_uint_t max_num_labels) {
    mp_raise_msg(&mp_type_NotImplementedError, MP_ERROR_TEXT("native code comes from mpy-cross"));
}

void emit_native_thumb_free(emit_t *emit) {
}
