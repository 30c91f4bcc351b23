-- Refunds belong to another report. FLOE_EXAMPLE_FAIL=1 is the bug somebody will write one day: it forgets to
-- leave them out, and the test assert_no_negative_revenue finds the order that this turns negative.
select
    payment_id,
    order_id,
    cast(amount as decimal(12, 2)) as amount
from {{ ref('raw_payments') }}
{% if env_var('FLOE_EXAMPLE_FAIL', '0') != '1' %}
where kind <> 'refund'
{% endif %}
