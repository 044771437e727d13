/** Loaded into a server before anything else: its clock is off by CHAOS_CLOCK_SHIFT_MS. */
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
