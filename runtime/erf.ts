/**
 * The error function in double precision, with an error below one unit in the last place. Coefficients of FreeBSD's s_erf.c:
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at SunPro, a Sun Microsystems, Inc. business.
 * Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice is preserved.
 */

/** 2/√π ∫₀ˣ exp(-t²) dt, by four rational approximations. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z < 0.84375) {
    const s = x * x;
    const p = 1.28379167095512558561e-1 + s * (-3.25042107247001499370e-1 + s * (-2.84817495755985104766e-2
      + s * (-5.77027029648944159157e-3 + s * -2.37630166566501626084e-5)));
    const q = 1 + s * (3.97917223959155352819e-1 + s * (6.50222499887672944485e-2 + s * (5.08130628187576562776e-3
      + s * (1.32494738004321644526e-4 + s * -3.96022827877536812320e-6))));
    return x + x * (p / q);
  }
  const sign = x < 0 ? -1 : 1;
  if (z < 1.25) {
    const s = z - 1;
    const p = -2.36211856075265944077e-3 + s * (4.14856118683748331666e-1 + s * (-3.72207876035701323847e-1
      + s * (3.18346619901161753674e-1 + s * (-1.10894694282396677476e-1 + s * (3.54783043256182359371e-2
      + s * -2.16637559486879084300e-3)))));
    const q = 1 + s * (1.06420880400844228286e-1 + s * (5.40397917702171048937e-1 + s * (7.18286544141962662868e-2
      + s * (1.26171219808761642112e-1 + s * (1.36370839120290507362e-2 + s * 1.19844998467991074170e-2)))));
    return sign * (8.45062911510467529297e-1 + p / q);
  }
  if (z >= 6) return sign;
  if (z !== z) return NaN;
  const s = 1 / (z * z);
  const ratio = z < 1 / 0.35 ? erfTailNear(s) : erfTailFar(s);
  // exp(-z²) loses digits when z² is rounded: split z so that the square of the first part is exact.
  const head = Math.fround(z);
  return sign * (1 - (Math.exp(-head * head - 0.5625) * Math.exp((head - z) * (head + z) + ratio)) / z);
}

/** log(z · exp(z²) · (1 - erf z)) + 0.5625 as a function of 1/z², for z from 1.25 to 1/0.35. */
export function erfTailNear(s: number): number {
  const r = -9.86494403484714822705e-3 + s * (-6.93858572707181764372e-1 + s * (-1.05586262253232909814e1
    + s * (-6.23753324503260060396e1 + s * (-1.62396669462573470355e2 + s * (-1.84605092906711035994e2
    + s * (-8.12874355063065934246e1 + s * -9.81432934416914548592))))));
  return r / (1 + s * (1.96512716674392571292e1 + s * (1.37657754143519042600e2 + s * (4.34565877475229228821e2
    + s * (6.45387271733267880336e2 + s * (4.29008140027567833386e2 + s * (1.08635005541779435134e2
    + s * (6.57024977031928170135 + s * -6.04244152148580987438e-2))))))));
}

/** The same for z from 1/0.35 on. */
export function erfTailFar(s: number): number {
  const r = -9.86494292470009928597e-3 + s * (-7.99283237680523006574e-1 + s * (-1.77579549177547519889e1
    + s * (-1.60636384855821916062e2 + s * (-6.37566443368389627722e2 + s * (-1.02509513161107724954e3
    + s * -4.83519191608651397019e2)))));
  return r / (1 + s * (3.03380607434824582924e1 + s * (3.25792512996573918826e2 + s * (1.53672958608443695994e3
    + s * (3.19985821950859553908e3 + s * (2.55305040643316442583e3 + s * (4.74528541206955367215e2
    + s * -2.24409524465858183362e1)))))));
}
