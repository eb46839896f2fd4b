// A shop's client over the generated types: what it may and may not write, checked by the compiler alone.
import type { components, operations, paths, webhooks } from "./schema";

type Invoice = components["schemas"]["Invoice"];
type NewInvoice = NonNullable<operations["invoices_create"]["requestBody"]>["content"]["application/json"];
type Filters = NonNullable<paths["/v1/invoices"]["get"]["parameters"]["query"]>;
type Paid = webhooks["invoice.paid"]["post"]["requestBody"]["content"]["application/json"];
type Refused = operations["invoices_cancel"]["responses"][409]["content"]["application/problem+json"];

export const order: NewInvoice = { amount: "19.99", currency: "USD", metadata: { cart: "7" }, provision: true };

export const filters: Filters = { status: ["open", "confirming"], limit: 50, created_after: "2026-01-31T12:00:00Z" };

export function addresses(invoice: Invoice): string[] {
  return invoice.methods.flatMap((method) => (method.address === null ? [] : [method.address]));
}

export function shipped(event: Paid): string | null {
  const kind: "invoice.paid" = event.type;
  return event.data.object.status === "paid" ? `${kind} ${event.data.object.order_id}` : null;
}

export function isTooLate(problem: Refused): boolean {
  return problem.code === "invoice_paid" || problem.code === "invoice_confirming";
}

// @ts-expect-error there is no such status
export const wrongFilter: Filters = { status: ["shut"] };

// @ts-expect-error a currency is a text
export const wrongOrder: NewInvoice = { amount: "1", currency: 7 };

// @ts-expect-error cancelling never says this
export const wrongCode = (problem: Refused): boolean => problem.code === "rate_unavailable";
