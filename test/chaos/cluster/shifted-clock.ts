/** Shifts the clock of a server by CHAOS_CLOCK_SHIFT_MS. Loaded with `--import`, before all other modules. */
const RealDate = Date;
const shiftMs = Number(process.env['CHAOS_CLOCK_SHIFT_MS'] ?? '0');

class ShiftedDate extends RealDate {
  constructor(...at: [] | [number | string | Date]) {
    super(at[0] ?? ShiftedDate.now());
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
