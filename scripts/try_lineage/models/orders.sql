select * from {{ ref('raw_orders') }} where customer is not null
