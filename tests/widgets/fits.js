import { fits } from "../../attn_utils/widgets/kit/share.js";

export const compute = ({ spec, present, values }) => ({
  taken: values.map((value) => Number(fits(spec, value, present))),
});
