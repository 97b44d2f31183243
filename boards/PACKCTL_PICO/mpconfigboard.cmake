# Raspberry Pi Pico (RP2040, 2 MB flash) as the brain of a battery pack.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
